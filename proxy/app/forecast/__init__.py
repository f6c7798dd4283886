"""`tidegate calibrate`, `plan --trace`, `tune`, and a forecast held against what came."""

"""Forecasts held against what came, over HTTP."""

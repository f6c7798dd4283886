"""Several workers on one host: one decides, the others send it jobs and reports, and get commands."""

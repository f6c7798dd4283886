"""What runs of a benchmark say, to be read: tables, charts, a page, and the list of what a number hangs on."""

"""Files and batches that outlive the process: a folder with a SQLite database, used by one thread of its own."""

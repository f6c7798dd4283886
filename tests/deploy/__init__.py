"""Files that only run elsewhere (image, compose, systemd, dashboards) stay true to the program."""

"""The command line. Every subcommand imports what it needs when it runs, so that `--version` stays fast."""

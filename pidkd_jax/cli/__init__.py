"""The command line: `main` finds a command in `commands/`, one file each, and `app` runs it."""

"""The commands: ``execute(args)`` of the module named like the command does it and returns the exit code."""

"""The command line: the parser, and one file per command."""

from conformance import telemetry, threads

threads.pin()  # Before a command imports NumPy.
telemetry.disable()

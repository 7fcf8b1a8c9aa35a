"""Worker processes: each runs one implementation and speaks the worker protocol."""

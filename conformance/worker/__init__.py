"""Worker processes: each runs one implementation behind a protocol."""

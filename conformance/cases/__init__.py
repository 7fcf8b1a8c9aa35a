"""Cases: configurations to check, read from YAML, and how they are validated, selected and sharded."""

ON_DEMAND = "on-demand"
"""Name of subfolders whose cases run only if the subfolder or a file in it is named, or if tags select them."""

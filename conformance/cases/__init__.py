"""Cases: configurations to check, read from YAML, and how they are validated, selected and sharded."""

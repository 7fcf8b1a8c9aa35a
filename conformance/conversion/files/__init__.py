"""File formats of checkpoints, one module each. Reading runs no code that a file contains."""

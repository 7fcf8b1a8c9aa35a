"""Known divergences of released implementations, and the solutions that they predict."""

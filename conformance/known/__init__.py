"""Known divergences of released implementations, and what they predict."""

"""LSTMs that are wrong in one known way each: what the suite would see of them, and what a failure is explained by."""

"""Results: one record per case and implementation, the results file, and comparisons of runs."""

"""Results: the record of one case on one implementation, the results file, and comparisons of runs."""

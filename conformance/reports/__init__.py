"""Reports: a results file rendered in one format per file."""

"""Power: which defects a set of cases detects."""

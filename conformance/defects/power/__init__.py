"""Power: the share of the applicable defects that a set of cases detects."""

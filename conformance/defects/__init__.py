"""The defect catalogue, detection power, and diagnosis."""

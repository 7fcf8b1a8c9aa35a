"""Defect catalogue, detection power and diagnosis."""

"""Campaigns: runs over randomly drawn cases, in which each deviation is shrunk to a minimal case."""

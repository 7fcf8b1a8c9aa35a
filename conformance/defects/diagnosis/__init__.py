"""Diagnosis: why an implementation fails a case."""

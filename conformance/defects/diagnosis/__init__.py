"""Diagnosis: finds out why an implementation fails."""

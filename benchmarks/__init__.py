"""Benchmarks of speed, memory and diagnosis: ``python -m benchmarks.NAME``.

Speeds are ratios to an alternative that the same benchmark measures.
"""

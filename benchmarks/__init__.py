"""Benchmarks of speed, memory and diagnosis: ``python -m benchmarks.NAME``.

Speeds are ratios to an alternative that the same benchmark measures.
"""

from conformance import threads

threads.pin()  # Before a benchmark, or a process that it starts, imports NumPy.

"""A differential conformance suite for LSTM implementations."""

__version__ = "0.1.0"

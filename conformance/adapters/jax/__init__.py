"""Adapters for libraries built on JAX."""

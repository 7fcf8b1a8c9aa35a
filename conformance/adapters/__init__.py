"""Adapters: each drives one implementation, from a problem to a solution."""

from conformance.adapters.adapter import Adapter, Solution

__all__ = ["Adapter", "Solution"]

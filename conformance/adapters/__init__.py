"""Adapters: each drives one implementation, problem in, solution out."""

from conformance.adapters.adapter import Adapter, Solution

__all__ = ["Adapter", "Solution"]

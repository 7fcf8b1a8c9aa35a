"""Adapters for families with a single implementation."""

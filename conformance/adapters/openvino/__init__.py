"""Adapters for OpenVINO."""

"""Adapters for PyTorch: its modules, cells, exporters and quantizable layers."""

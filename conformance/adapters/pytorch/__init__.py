"""Adapters for PyTorch: modules, cells, exporters and quantizable layers."""

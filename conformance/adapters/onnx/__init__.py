"""Adapters for engines that run ONNX models."""

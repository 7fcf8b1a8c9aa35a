"""Adapters for runtimes that execute ONNX models."""

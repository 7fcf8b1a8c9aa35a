"""Adapters for TensorFlow's raw LSTM operations."""

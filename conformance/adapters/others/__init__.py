"""Adapters for frameworks with one LSTM each."""

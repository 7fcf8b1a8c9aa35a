"""Adapters for Keras layers on every back end, for tf_keras and for LiteRT."""

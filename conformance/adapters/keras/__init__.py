"""Adapters for Keras on every back end, tf_keras and LiteRT."""

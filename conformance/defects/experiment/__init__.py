"""Experiments that find out what an implementation reads and returns wrongly."""

"""Weight conversion: LSTMs in the checkpoints of one framework, written as those of another."""

"""Published LSTM test suites and their power."""

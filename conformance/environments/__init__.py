"""Python environments that are created on demand, so that a worker can run any release of a framework."""

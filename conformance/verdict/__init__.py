"""From a case to a verdict: the problem, the expected solution with its budget, and the judge."""

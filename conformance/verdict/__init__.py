"""Verdicts: problems, expectations with budgets, and the comparison of solutions with them."""

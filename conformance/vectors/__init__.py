"""Test vectors: cases as files with numbers, budgets and flags, for test suites in any language."""

"""Rows of the kill matrix depend only on the statements of the code that computes them."""

from conformance.defects.power.kill_matrix import _statements

SOURCE = '''
"""Module."""

x = 1
"""Constant,
in two lines."""

# Comment.
def f() -> str:
    """Function."""
    return "text"
'''


def test_the_code_hash_ignores_docstrings_comments_and_imports() -> None:
    assert _statements(SOURCE) == 'x = 1\ndef f() -> str:\n    return "text"'
    assert _statements(SOURCE) != _statements(SOURCE.replace('"text"', '"other"'))

from conformance.defects.power.kill_matrix import _statements

SOURCE = '''
"""Module."""

x = 1
"""What x is,
in two lines."""

# Why.
def f() -> str:
    """Function."""
    return "text"
'''


def test_a_row_depends_on_statements_not_on_words_about_them() -> None:
    assert _statements(SOURCE) == 'x = 1\ndef f() -> str:\n    return "text"'
    assert _statements(SOURCE) != _statements(SOURCE.replace('"text"', '"other"'))

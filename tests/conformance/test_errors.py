"""The messages of errors that implementations raise."""

import pytest

from conformance.errors import first_line


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("no kernel", "no kernel"),
        ("no kernel\nfor float16", "no kernel"),
        (
            "when calling LSTM.call().\n\n\x1b[1mthe rate is 1\x1b[0m\n\nArguments: x",
            "when calling LSTM.call(). the rate is 1",
        ),
        ("\n", ""),
    ],
)
def test_the_first_line_includes_what_follows_a_heading(message: str, expected: str) -> None:
    assert first_line(message) == expected

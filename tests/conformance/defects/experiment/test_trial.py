"""Errors of implementations in one line."""

import pytest

from conformance.defects.experiment.trial import ImplementationError


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("no kernel\nfor this", "no kernel"),
        ("Error(s) in LSTM:\n\tsize mismatch", "Error(s) in LSTM: size mismatch"),
        ("Exception in LSTM.call().\n\n\x1b[1mbad mask\x1b[0m\n\nArguments", "Exception in LSTM.call(). bad mask"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_message_is_the_line_that_says_what_is_wrong(message: str, line: str) -> None:
    assert str(ImplementationError(ValueError(message))) == f"ValueError: {line}"

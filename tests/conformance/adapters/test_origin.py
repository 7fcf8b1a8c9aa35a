"""The origin of an error: where the adapter's last call led, or who defines the class of the exception."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from conformance.adapters.origin import ReportedError, raised_by_adapter
from tests import fakes, framework


class _Drives(fakes.Faithful):
    requires = ("tests.framework",)


def _misses_a_key() -> None:
    raise KeyError("weight")


def _reports_a_code() -> None:
    raise ReportedError("code 3")


def _raises_like_compiled_code() -> None:
    raise framework.CompiledError


@pytest.mark.parametrize(
    ("function", "by_adapter"),
    [
        (framework.fail, False),
        (lambda: framework.trace(framework.fail), False),
        (lambda: framework.trace(lambda: framework.fail()), False),
        (_reports_a_code, False),
        (_raises_like_compiled_code, False),
        (_misses_a_key, True),
        (lambda: framework.trace(_misses_a_key), True),
        (lambda: framework.trace(lambda: np.stack([])), True),
        (lambda: np.zeros(2).reshape(3), True),
        (lambda: json.loads("nothing"), True),
    ],
)
def test_the_implementation_raised_an_error_if_the_last_call_led_into_a_required_package(
    function: Callable[[], object], by_adapter: bool
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the functions raise different errors
        function()
    assert raised_by_adapter(caught.value, _Drives()) is by_adapter
    assert not raised_by_adapter(caught.value, fakes.Faithful()), (
        "an adapter without requirements is the implementation"
    )

"""Compares tinygrad.nn.LSTMCell with the reference, if a compiler is installed."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.others.tinygrad import TinygradLSTMCell
from conformance.cases.case import Case

pytest.importorskip("tinygrad")
compiles = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not on PATH")
TINY = {"seq_len": 2, "batch": 2, "input_size": 2, "hidden_size": 3}


# A kernel takes a second to compile, so there are few cases, with few steps.
@compiles
@pytest.mark.parametrize(
    "options",
    [
        {"direction": "bidirectional", "batch_first": True},
        {
            "chunks": (1, 1),
            "batching": "permuted",
            "earlier_calls": ("error",),
            "frozen": ("h_0",),
            "check": ("gradients",),
        },
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(TinygradLSTMCell(), TINY | options) < 1e-12


@compiles
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": "unbatched"}, "needs a batch axis"),
        ({"lengths": "ragged"}, "has no lengths"),
        ({"dtype": "bfloat16"}, "__bf16"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (TinygradLSTMCell().supports(case(**options)) or "")


@compiles
def test_passes_the_adapter_check(case: Callable[..., Case]) -> None:
    assert check_adapter(TinygradLSTMCell(), [case(**TINY, name="tiny", initial_state="omitted")]) == []


def test_is_unsupported_without_a_compiler(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "clang" in (TinygradLSTMCell().supports(case(**TINY)) or "")


def test_describe_reports_versions_and_method() -> None:
    assert "Python loop over time" in TinygradLSTMCell().describe()["stacked"]

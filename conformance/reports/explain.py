"""Explanation of one result as text of at most 80 columns.

It contains the worst deviation with its place and budget, the likely cause, and the commands that run the case again.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.results.record import Result
from conformance.results.summary import format_error_ratio, rerun_commands

WIDTH = 80
_LABEL = 10
_SHOWN_TENSORS = 8
"""Number of tensors to list after the worst tensor. The gradients of a layer usually fail together."""

# Control characters, characters that change the direction of text, and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_COMPARED = {"where", "wrong", "of", "got", "expected", "budget", "rtol_to_pass", "atol_to_pass"}
"""Fields that the judge sets only for a tensor that could be compared element by element."""


def explain(result: Result, spec: str = "", width: int = WIDTH) -> str:
    """Explains a result that did not pass.

    Args:
        result: the result.
        spec: name of its implementation on the command line; empty if it is the implementation's name.
        width: number of columns. Commands and tracebacks are not wrapped, so that users can copy them.
    """
    lines = [f"{result.status} {result.id}"]
    for label, text in (*_deviation(result), *_context(result)):
        lines.append(_labelled(label, text, width))
    if result.traceback:
        lines += ["  " + line for line in result.traceback.rstrip().splitlines()]
    if result.deviates:
        labels = ["again", ""]
        lines += [
            f"  {label:<{_LABEL}}{text}" for label, text in zip(labels, rerun_commands(result, spec), strict=False)
        ]
    return printable("\n".join(lines))


def headline(result: Result) -> str:
    """Returns a summary in one line: ``fail: h_n is off by 0.25, error ratio 250``."""
    worst = _worst(result)
    detail = result.details.get(worst, {})
    if not detail.keys() >= _COMPARED:
        return f"{result.status}: {detail.get('reason') or result.reason}"
    off = abs(float(detail["got"]) - float(detail["expected"]))
    return f"{result.status}: {worst} is off by {off:.3g}, error ratio {format_error_ratio(result.tensors.get(worst))}"


def printable(text: str) -> str:
    """Replaces characters that could change the state of a terminal, or that are not printable, by escapes."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def wrapped(text: str, indent: str, width: int = WIDTH) -> str:
    """Wraps text into a printable paragraph. Words are never broken."""
    text = printable(text)
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _worst(result: Result) -> str:
    """Returns the name of the worst tensor; empty if no tensor deviates."""
    return max(result.details, key=lambda name: result.tensors.get(name, 0.0), default="")


def _deviation(result: Result) -> Iterator[tuple[str, str]]:
    """Yields labels and texts about the deviation: what, where, got, expected, and the other tensors."""
    details = result.details
    if not details:
        yield "what", result.reason
        return
    worst = _worst(result)
    detail = details[worst]
    if not detail.keys() >= _COMPARED:
        yield "what", str(detail.get("reason") or result.reason)
    else:
        yield "what", f"{worst}, {detail['wrong']} of {detail['of']} elements"
        yield "where", str(detail["where"])
        yield "got", _both(detail, "got")
        yield "expected", _both(detail, "expected")
        ratio = format_error_ratio(result.tensors.get(worst))
        yield "off by", f"{_off(detail)}, error ratio {ratio} (up to 1 conforms)"
        yield "to pass", f"rtol {_short(detail['rtol_to_pass'])}, or atol {_short(detail['atol_to_pass'])}"
    others = sorted((name for name in details if name != worst), key=lambda name: -result.tensors.get(name, 0.0))
    if others:
        more = f" and {len(others) - _SHOWN_TENSORS} more" if len(others) > _SHOWN_TENSORS else ""
        shown = [_other(name, details[name], result) for name in others[:_SHOWN_TENSORS]]
        yield "also", "; ".join(shown) + more


def _context(result: Result) -> Iterator[tuple[str, str]]:
    """Yields labels and texts about everything else: conforming tensors, cause, unchecked features, notes."""
    within = [name for name in result.tensors if name not in result.details]
    if result.details:
        yield "within", ", ".join(within) or "nothing"
    if result.diagnosis:
        yield "cause", result.diagnosis
    for feature, reason in result.unchecked.items():
        yield "unchecked", f"{feature}: {reason}"
    for note in result.notes:
        yield "note", note


def _other(name: str, detail: Mapping[str, Any], result: Result) -> str:
    if detail.keys() >= _COMPARED:
        return f"{name} (error ratio {format_error_ratio(result.tensors.get(name))})"
    reason = str(detail.get("reason", ""))
    return f"{name} (not finite)" if " is not finite" in reason else reason


def _both(detail: Mapping[str, Any], what: str) -> str:
    """Formats a number in decimal with 9 digits, and exactly in hexadecimal."""
    exact = detail.get(f"{what}_hex")
    return f"{float(detail[what]):.9g}" + (f" ({exact})" if exact else "")


def _off(detail: Mapping[str, Any]) -> str:
    deviation = abs(float(detail["got"]) - float(detail["expected"]))
    return f"{deviation:.3g}, budget {_short(detail['budget'])}"


def _short(value: Any) -> str:
    return f"{float(value):.3g}"


def _labelled(label: str, text: str, width: int) -> str:
    indent = " " * (2 + _LABEL)
    lines = wrapped(" ".join(text.split()), indent, width)
    return f"  {label:<{_LABEL}}{lines[len(indent) :]}".rstrip()

"""Everything that there is to say about one result, in lines of 80 columns.

What, where, by how much against what bound, the likely cause, and the commands that run it again.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.results.record import Result
from conformance.results.summary import number, rerun

WIDTH = 80
_LABEL = 10
_SHOWN_TENSORS = 8
"""Tensors that are named beside the worst one; a layer's gradients are wrong together."""


_NUMBERS = {"where", "wrong", "of", "got", "expected", "budget", "rtol_to_pass", "atol_to_pass"}
"""What the judge says of a tensor that could be compared."""


def explain(result: Result, spec: str = "", width: int = WIDTH) -> str:
    """A result that is not a pass.

    Args:
        result: the result.
        spec: how its implementation is named on the command line, where that is not its name.
        width: columns; commands and tracebacks are not wrapped, so that they can be copied.
    """
    lines = [f"{result.status} {result.id}"]
    for label, text in (*_what(result), *_more(result)):
        lines.append(_labelled(label, text, width))
    if result.traceback:
        lines += ["  " + line for line in result.traceback.rstrip().splitlines()]
    if result.deviates:
        lines += [f"  {label:<{_LABEL}}{line}" for label, line in zip(("again", ""), rerun(result, spec), strict=True)]
    return "\n".join(lines)


def headline(result: Result) -> str:
    """The same in a line: ``fail: h_n is off by 0.25, error ratio 250``."""
    worst = _worst(result)
    detail = result.details.get(worst, {})
    if not detail.keys() >= _NUMBERS:
        return f"{result.status}: {detail.get('reason') or result.reason}"
    off = abs(float(detail["got"]) - float(detail["expected"]))
    return f"{result.status}: {worst} is off by {off:.3g}, error ratio {number(result.tensors.get(worst))}"


def wrapped(text: str, indent: str, width: int = WIDTH) -> str:
    """A line of words as a paragraph; no word is cut."""
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _worst(result: Result) -> str:
    """The tensor that deviates most; empty where none was compared."""
    return max(result.details, key=lambda name: result.tensors.get(name, 0.0), default="")


def _what(result: Result) -> Iterator[tuple[str, str]]:
    details = result.details
    if not details:
        yield "what", result.reason
        return
    worst = _worst(result)
    detail = details[worst]
    if not detail.keys() >= _NUMBERS:
        yield "what", str(detail.get("reason") or result.reason)
    else:
        yield "what", f"{worst}, {detail['wrong']} of {detail['of']} elements"
        yield "where", str(detail["where"])
        yield "got", _both(detail, "got")
        yield "expected", _both(detail, "expected")
        yield "off by", f"{_off(detail)}, error ratio {number(result.tensors.get(worst))} (up to 1 conforms)"
        yield "to pass", f"rtol {_short(detail['rtol_to_pass'])}, or atol {_short(detail['atol_to_pass'])}"
    others = sorted((name for name in details if name != worst), key=lambda name: -result.tensors.get(name, 0.0))
    if others:
        more = f" and {len(others) - _SHOWN_TENSORS} more" if len(others) > _SHOWN_TENSORS else ""
        shown = [_other(name, details[name], result) for name in others[:_SHOWN_TENSORS]]
        yield "also", "; ".join(shown) + more


def _more(result: Result) -> Iterator[tuple[str, str]]:
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
    if detail.keys() >= _NUMBERS:
        return f"{name} (error ratio {number(result.tensors.get(name))})"
    reason = str(detail.get("reason", ""))
    return f"{name} (not finite)" if " is not finite" in reason else reason


def _both(detail: Mapping[str, Any], what: str) -> str:
    """A number in decimal and, exactly, in hexadecimal."""
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

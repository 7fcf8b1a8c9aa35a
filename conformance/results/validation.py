"""Formats validation errors of pydantic in one line."""

from pydantic import ValidationError

_SHOWN_CHARACTERS = 60
_REWORDED = (
    ("Input should be greater than or equal to", "must be ≥"),
    ("Input should be", "must be"),
    ("String should", "must"),
)


def first_mistake(error: ValidationError) -> str:
    """Describes the first invalid field, such as ``error_ratio must be ≥ 0, got NaN``."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"])) or "the line"
    if first["type"] == "missing":
        return f"missing field {field}"
    message = first["msg"]
    for old, new in _REWORDED:
        if message.startswith(old):
            message = new + message.removeprefix(old)
            break
    return f"{field} {message}, got {_shown(first['input'])}"


def _shown(value: object) -> str:
    """Formats an invalid value. NaN and infinity, which are strings in a results file, get no quotes."""
    text = {"nan": "NaN", "inf": "inf", "-inf": "-inf"}.get(str(value), ascii(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"

"""Cases that differ from a case in one option or size."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from conformance.cases import uses
from conformance.cases.case import Case
from conformance.results import when

SIZES = ("num_layers", "hidden_size", "input_size", "batch", "seq_len")
"""Options that are sizes."""
_IDENTITY = ("name", "file", "line", "tags", "notes", "links", "seed")
"""Options that do not change what is computed, except for the values that are drawn."""
VALUES: Mapping[str, tuple[Any, ...]] = {
    **{name: get_args(Case.model_fields[name].annotation) or (True, False) for name in when.CHOICES},
    "lengths": (None, "ragged"),
}
"""Options with few values."""


def vary(case: Case, **changes: Any) -> Case | None:
    """Returns a case with other options and without a name; None if they contradict each other."""
    options = case.model_dump(exclude_defaults=True, exclude=set(_IDENTITY)) | changes
    if options.get("lengths") is None:
        options |= {"mask": "right", "padding": Case.model_fields["padding"].default}
    if {"seq_len", "batch"} & changes.keys():
        rows = options["batch"] if isinstance(options["batch"], int) else None
        options |= uses.fit(case, options["seq_len"], rows)
    try:
        return Case.model_validate(options)
    except ValidationError:
        return None


def changeable(case: Case) -> list[str]:
    """Returns the names of the options to change: those with few values, and others that are not at their default."""
    left_out = {*_IDENTITY, *SIZES, *(("mask", "padding") if case.lengths is None else ())}
    return [
        name
        for name, info in Case.model_fields.items()
        if name not in left_out and (name in VALUES or name == "check" or getattr(case, name) != info.get_default())
    ]


def alternatives(case: Case, name: str) -> Iterator[Case]:
    """Yields the cases with other values of an option."""
    own = getattr(case, name)
    values = VALUES.get(name, (Case.model_fields[name].get_default(),))
    if name == "check":
        values = tuple(tuple(other for other in own if other != check) for check in own)
    for value in values:
        if value != own and (varied := vary(case, **{name: value})):
            yield varied

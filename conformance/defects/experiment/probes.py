"""Probe cases: small problems with few options each."""

from collections.abc import Iterator
from typing import Any

from conformance.cases.case import Case
from conformance.defects.experiment.drive import OPTIONS

_BASE: dict[str, Any] = {"input_size": 2, "hidden_size": 4, "seq_len": 5, "batch": 3, "padding": "random"}
_BOTH: dict[str, Any] = {"direction": "bidirectional"}
_TWO: dict[str, Any] = {"num_layers": 2}
_RAGGED: dict[str, Any] = {"lengths": (3, 5, 1)}

DRIVEN = "activations, one at a time"
"""Name of the probe that reads off activations, see ``conformance.defects.experiment.drive``."""
PROBES: dict[str, dict[str, Any]] = {
    DRIVEN: OPTIONS,
    "one layer": {},
    "two layers": _TWO,
    "both directions": _BOTH,
    "two layers, both directions": _TWO | _BOTH,
    "reverse": {"direction": "reverse"},
    "lengths": _RAGGED,
    "two layers, both directions, lengths": _TWO | _BOTH | _RAGGED,
    "no initial state": {"initial_state": "omitted"},
    "no initial state, two layers, both directions": {"initial_state": "omitted"} | _TWO | _BOTH,
    "no biases": {"bias": False},
    "one row": {"batch": 1},
    "one step": {"seq_len": 1},
}
"""Options of each probe. Its sizes are I = 2, H = 4, T = 5 and B = 3, which all differ, if it has none of its own."""

DTYPES = ("float64", "float32", "bfloat16")
"""Dtypes of the probes. The first one that the implementation supports is used."""


def probe(name: str, dtype: str) -> Case:
    """Returns a probe case."""
    return next(variants(name, dtype))


def variants(name: str, dtype: str) -> Iterator[Case]:
    """Yields a probe case. If the name is ``DRIVEN``, variants with fewer layers and directions follow."""
    for options in (_TWO | _BOTH, _TWO, _BOTH, {}) if name == DRIVEN else ({},):
        yield Case.model_validate({**_BASE, **PROBES[name], **options, "dtype": dtype, "name": name})

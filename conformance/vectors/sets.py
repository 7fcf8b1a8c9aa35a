"""Sets of cases to export: named ones, those with given features, and the smallest set that detects as much."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from conformance.cases.case import Case, DType
from conformance.cases.features import DTYPES, FEATURES, features
from conformance.errors import UserError
from conformance.vectors.cover import minimum_cover

PLAIN = "plain"
"""Name on the command line for no feature: one forward layer with biases and initial state."""

_STATES: tuple[Literal["h_0", "c_0"], ...] = ("h_0", "c_0")
_CORE = frozenset(
    {"layers", "bidirectional", "reverse", "lengths", "no bias", "unbatched", "batch first", "state omitted"}
)


@dataclass(frozen=True)
class VectorSet:
    """A set of the shipped cases.

    Attributes:
        features: features that a case may have, besides its dtype; None for any.
        dtypes: dtypes that a case may have; empty for any.
    """

    features: frozenset[str] | None
    dtypes: tuple[DType, ...] = ("float32",)


SETS: dict[str, VectorSet] = {
    "plain": VectorSet(frozenset()),
    "lengths": VectorSet(frozenset({"lengths", "bidirectional", "reverse"})),
    "core": VectorSet(_CORE),
    "gradients": VectorSet(_CORE | {"gradients"}),
    "torch": VectorSet(_CORE | {"gradients", "projection", "dropout"}),
    "float32": VectorSet(None),
    "all": VectorSet(None, ()),
}
"""Named sets, from small to large. ``conformance.commands.usage`` describes them."""


def parse_features(names: Sequence[str]) -> frozenset[str]:
    """Parses names of features, such as ``no-bias`` or ``no bias``.

    Raises:
        UserError: a name is unknown.
    """
    known = {feature.replace(" ", "-"): {feature} for feature in FEATURES if feature not in DTYPES} | {PLAIN: set()}
    wanted = [name.strip().replace(" ", "-") for name in names]
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"--features: unknown feature {unknown[0]!r}. The features are: {', '.join(known)}")
    return frozenset().union(*(known[name] for name in wanted))


def having(cases: Sequence[Case], allowed: frozenset[str] | None, dtypes: Collection[str] = ()) -> list[Case]:
    """Returns the cases that have no other features and dtypes than these.

    Without the feature ``gradients``, the cases are returned without gradients. Equal cases are returned once.

    Args:
        cases: cases to choose from.
        allowed: features that a case may have, besides its dtype; None for any.
        dtypes: dtypes that a case may have; empty for any.
    """
    found: dict[str, Case] = {}
    for case in cases:
        run = case if allowed is None or "gradients" in allowed else case.forward_only()
        if run is None or (dtypes and run.dtype not in dtypes):
            continue
        if allowed is None or set(features(run)) - set(DTYPES) <= allowed:
            found.setdefault(run.key, run)
    return list(found.values())


def smallest(cases: Sequence[Case], masks: Sequence[int]) -> list[Case]:
    """Returns the fewest cases that detect every defect that any of the cases detects.

    Among several such sets, returns the one with the fewest numbers.

    Args:
        cases: cases to choose from.
        masks: bit masks of the defects that the cases detect.
    """
    return [cases[i] for i in minimum_cover(masks, [_count_numbers(case) for case in cases])]


def _count_numbers(case: Case) -> int:
    """Returns the number of numbers in the vector of a case, without masks."""
    model, rows = case.model, case.rows or 1
    states = sum(prod(shape) for name in _STATES for shape in model.state_shapes(name, rows).values())
    given = model.parameter_count() + case.seq_len * rows * model.input_size + states * case.gives_state
    results = case.seq_len * rows * model.output_size() + states
    if "gradients" not in case.check:
        return given + 2 * results  # Each result has a budget.
    return given + results + 2 * (results + given)  # Each result also has a cotangent.

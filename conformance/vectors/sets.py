"""Sets of cases to export: named ones, those with given features, and the smallest set that detects as much."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from conformance.cases.case import Case
from conformance.cases.features import DTYPES, FEATURES, USES, features
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
    """Cases that have no other features, dtypes and sizes than these.

    Attributes:
        features: features that a case may have, besides its dtype; None for any. Without ``gradients``, only results of
            the forward pass are compared.
        dtypes: dtypes that a case may have; empty for any.
        max_numbers: largest number of numbers in a vector, with about 15 bytes for each; None for any.
    """

    features: frozenset[str] | None
    dtypes: tuple[str, ...] = ("float32",)
    max_numbers: int | None = 3_000

    def select(self, cases: Iterable[Case]) -> list[Case]:
        """Returns the cases that belong to the set, equal ones once.

        Cases with uses are left out, because a vector describes one ordinary call.
        """
        found: dict[str, Case] = {}
        for case in cases:
            run = case if self.features is None or "gradients" in self.features else case.forward_only()
            if run is not None and self._has(run):
                found.setdefault(run.key, run)
        return list(found.values())

    def _has(self, case: Case) -> bool:
        own = set(features(case)) - set(DTYPES)
        return (
            (not self.dtypes or case.dtype in self.dtypes)
            and own.isdisjoint(USES)
            and (self.features is None or own <= self.features)
            and (self.max_numbers is None or _count_numbers(case) <= self.max_numbers)
        )


SETS: dict[str, VectorSet] = {
    "plain": VectorSet(frozenset()),
    "lengths": VectorSet(frozenset({"lengths", "bidirectional", "reverse"})),
    "core": VectorSet(_CORE),
    "sizes": VectorSet(_CORE, max_numbers=10_000),
    "gradients": VectorSet(_CORE | {"gradients"}, max_numbers=10_000),
    "torch": VectorSet(_CORE | {"gradients", "projection", "dropout"}, max_numbers=10_000),
    "float32": VectorSet(None, max_numbers=10_000),
    "all": VectorSet(None, dtypes=(), max_numbers=10_000),
}
"""Named sets of the shipped cases, from small to large. ``conformance.commands.usage`` describes them."""


def parse_features(names: Sequence[str]) -> frozenset[str]:
    """Parses names of features, such as ``no-bias`` or ``no bias``.

    Raises:
        UserError: a name is unknown.
    """
    options = [feature for feature in FEATURES if feature not in (*DTYPES, *USES)]
    known = {feature.replace(" ", "-"): {feature} for feature in options} | {PLAIN: set()}
    wanted = [name.strip().replace(" ", "-") for name in names]
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"--features: unknown feature {unknown[0]!r}. The features are: {', '.join(known)}")
    return frozenset().union(*(known[name] for name in wanted))


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

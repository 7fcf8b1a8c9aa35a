"""Explains wrong activations by the values that are read off, see ``conformance.defects.experiment.drive``."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import DIRECTIONS
from conformance.defects.experiment.compute import Computation, elementwise
from conformance.defects.experiment.curves import describe, recognize
from conformance.defects.experiment.drive import ACTIVATIONS, Reading, readings
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Trial
from reference import PROFILES
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell

_RIGHT = (sigmoid, sigmoid, tanh, sigmoid, tanh)
"""The activations of the standard cell, in the order of ``ACTIVATIONS`` and of ``_FIELDS``."""
_FIELDS = tuple(each.name for each in fields(Cell))
_PARTS = (slice(None), slice(8, None), slice(0, None, 2), slice(1, None, 2))
"""Rows from which activations are read off."""


def activation_rules_of_parts(trial: Trial) -> Iterator[Rule]:
    """Yields rules with the activations of some rows of a driven trial. A mistake may spoil the others."""
    for rows in _PARTS:
        yield from activation_rules(trial, rows)


def activation_rules(trial: Trial, rows: slice = slice(None)) -> Iterator[Rule]:
    """Yields rules with the activations of a driven trial, which differ in the gradients.

    There are none if not every activation is recognized.

    Args:
        trial: the trial.
        rows: the rows from which the activations are read off.
    """
    if not trial.comparable:
        return
    places: dict[tuple[int, str], set[tuple[int, int]]] = {}
    found: dict[tuple[int, str], Activation] = {}
    every = set()
    for reading in readings(trial):
        every.add((reading.layer, reading.direction))
        activation = _recognize(reading, trial, rows)
        if activation is None:
            return
        if activation is not _RIGHT[reading.activation]:
            key = reading.activation, activation.name
            places.setdefault(key, set()).add((reading.layer, reading.direction))
            found[key] = activation
    if not found:
        return
    changes = [_Change(key[0], each, _scope(places[key], every, trial.case)) for key, each in found.items()]
    words = f"computes {_describe(changes)}"

    def requires(case: Case) -> bool:
        return case.is_plain and any(change.scope.applies_to(case) for change in changes)

    matching = Computation(cell=partial(_with_activations, changes))
    sloped = [replace(each, activation=replace(each.activation, slope=_RIGHT[each.number].slope)) for each in changes]
    formula = "the gradients use the derivative of the right function"
    yield Rule.computing(words, matching, requires)
    yield Rule.computing(f"{words}; {formula}", Computation(cell=partial(_with_activations, sloped)), requires)
    yield Rule.computing(f"{words}; the gradients are correct", replace(matching, right_gradients=True), requires)


def describe_activations(trial: Trial) -> list[str]:
    """Describes the activations of a driven trial that are not the right ones, in the first layer and direction."""
    # If h_n is right, then so are the activations, and c_n is wrong for another reason.
    if not trial.comparable or "h_n" not in trial.mismatches(trial.observation.values):
        return []
    texts = []
    for reading in readings(trial):
        right = _RIGHT[reading.activation]
        if (reading.layer, reading.direction) == (0, 0) and _recognize(reading, trial) is not right:
            texts.append(f"the {ACTIVATIONS[reading.activation]} is {describe(reading.z, reading.options[0], right)}")
    return texts


def _recognize(reading: Reading, trial: Trial, rows: slice = slice(None)) -> Activation | None:
    options = [values[rows] for values in reading.options]
    return recognize(reading.z[rows], options, _RIGHT[reading.activation], PROFILES[trial.case.dtype].u)


@dataclass(frozen=True)
class _Scope:
    """Layers and directions; None for all of them."""

    layer: int | None = None
    direction: int | None = None

    def __str__(self) -> str:
        words = [] if self.layer is None else [f"in layer {self.layer}"]
        words += [] if self.direction is None else [f"in the {DIRECTIONS[self.direction]} direction"]
        return " ".join(["", *words])

    def contains(self, layer: int, suffix: str) -> bool:
        """Returns whether a layer and direction belong to the scope."""
        return self.layer in (None, layer) and self.direction in (None, int(bool(suffix)))

    def applies_to(self, case: Case) -> bool:
        """Returns whether a case has such layers and directions."""
        return any(self.contains(layer, suffix) for layer in range(case.num_layers) for suffix in case.model.suffixes)


@dataclass(frozen=True)
class _Change:
    """A wrong activation.

    Attributes:
        number: index in ``ACTIVATIONS``.
        activation: the activation that takes its place.
        scope: layers and directions.
    """

    number: int
    activation: Activation
    scope: _Scope


def _scope(places: set[tuple[int, int]], every: set[tuple[int, int]], case: Case) -> _Scope:
    """Returns the narrowest scope that contains all these layers and directions."""
    layers, numbers = {layer for layer, _ in places}, {direction for _, direction in places}
    directions = {int(bool(case.model.suffixes[number])) for number in numbers}
    return _Scope(
        layers.pop() if len(layers) == 1 and len({layer for layer, _ in every}) > 1 else None,
        directions.pop() if len(directions) == 1 and len({direction for _, direction in every}) > 1 else None,
    )


def _describe(changes: list[_Change]) -> str:
    groups: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        groups.setdefault((change.activation.name, str(change.scope)), []).append(ACTIVATIONS[change.number])
    return ", and ".join(f"the {_join(names)}{scope} as {curve}" for (curve, scope), names in groups.items())


def _join(names: list[str]) -> str:
    *first, last = [name.removesuffix(" gate") if name.endswith("gate") else name for name in names]
    gates = [name for name in names if name.endswith(" gate")]
    if first and len(gates) == len(names):
        return f"{', '.join(first)} and {last} gates"
    return " and the ".join(names)


def _with_activations(changes: list[_Change], cell: Cell, layer: int, suffix: str) -> Cell:
    own = {_FIELDS[each.number]: each.activation for each in changes if each.scope.contains(layer, suffix)}
    return replace(cell, **{name: replace(each, slope=elementwise(each.slope)) for name, each in own.items()})

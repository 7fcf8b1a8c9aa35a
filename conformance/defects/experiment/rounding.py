"""Explains small deviations by rounding to a narrower format in one place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal, Self

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.precision import BFLOAT16, HALF, SINGLE, TF32, Exact, round_to_bits
from conformance.defects.experiment.blocks import RESULTS
from conformance.defects.experiment.compute import Arithmetic, Computation, elementwise
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Trial
from conformance.verdict.problem import Problem
from reference.activations import Activation
from reference.cell import Cell, Step, blocks

Round = Callable[[Any], Any]
Phase = Literal["forward", "backward", "both"]
_Make = Callable[[Round, Phase | None], Computation]

MAX_RELATIVE_DEVIATION = 2.0**-4
"""Deviation, relative to the largest element of a tensor, above which rounding is not tried as an explanation."""


def rounding_rules(trial: Trial, expected: Mapping[str, Any] | None = None) -> Iterator[Rule]:
    """Yields rules with which an implementation rounds in one place, if some deviation is small enough for this.

    Args:
        trial: the wrong solution.
        expected: the values without rounding; None for those of the reference.
    """
    expected = trial.observation.values if expected is None else expected
    if not trial.comparable or trial.case.has_direction:
        return
    wrong = [name for name in trial.mismatches(expected) if name in RESULTS]
    if not any(_is_small(trial, name, expected) for name in wrong or trial.mismatches(expected)):
        return
    phases: tuple[Phase, ...] = ("both", "forward") if wrong else ("backward",)
    for format_, rounds in _formats(trial.case).items():
        for place in _PLACES:
            requires = partial(_applies, format_, place)
            if not requires(trial.case):
                continue
            if not place.phased and (not wrong) != place.returns_gradients:
                continue
            for phase in phases if place.phased else (None,):
                words = f"rounds {place.name} to {format_}{_WORDS[phase]}"
                yield Rule.computing(words, place.make(rounds, phase), requires)


def _is_small(trial: Trial, name: str, expected: Mapping[str, Any]) -> bool:
    """Returns whether the deviations of a tensor are small compared with its largest element."""
    got, right = trial.observation.got[name], expected[name]
    return bool(np.abs(got - right).max(initial=0.0) <= MAX_RELATIVE_DEVIATION * np.abs(right).max(initial=0.0))


def _formats(case: Case) -> dict[str, Round]:
    """Returns the formats that are narrower than the dtype of a case."""
    formats: dict[str, Round] = {}
    if case.dtype == "float64":
        formats["float32"] = partial(round_to_bits, bits=SINGLE)
    if case.dtype in ("float64", "float32"):
        assert HALF == TF32
        formats["float16 or TF32 (11 bits)"] = partial(round_to_bits, bits=HALF)
        formats["bfloat16"] = partial(round_to_bits, bits=BFLOAT16)
        formats["float16"] = lambda array: np.asarray(array).astype(np.float16).astype(np.float64)
        formats["bfloat16 by truncation"] = partial(_truncate, bits=BFLOAT16)
        formats["TF32 by truncation"] = partial(_truncate, bits=TF32)
    return formats


def _truncate(array: Any, bits: int) -> Any:
    """Truncates values to a number of significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits)), exponent - bits)


@dataclass(frozen=True)
class _Place:
    """A place where an implementation may round.

    Attributes:
        name: name of the place.
        make: function that returns the computation, given the rounding and the pass in which it occurs.
        phased: whether the rounding can be restricted to one pass.
        returns_gradients: whether only the returned gradients are rounded.
        in_cell: whether a cell of its own rounds, which has no cell options.
    """

    name: str
    make: _Make
    phased: bool = True
    returns_gradients: bool = False
    in_cell: bool = False


def _applies(format_: str, place: _Place, case: Case) -> bool:
    """Returns whether the dtype of a case is wider than a format, and the case has a place where it may be rounded."""
    return format_ in _formats(case) and (case.is_plain or not place.in_cell)


_WORDS: dict[Phase | None, str] = {
    None: "",
    "both": "",
    "forward": "; the backward pass is exact",
    "backward": " in the backward pass",
}


@dataclass
class _Products:
    """Describes where the arithmetic of a run rounds. All arrays of the run share this object.

    Attributes:
        rounds: rounding.
        operands: kinds of matrix products whose operands are rounded: ``input``, ``recurrent`` and ``gradient``.
        parts: which of the two operands are rounded.
        sums: whether the partial sums of matrix products are rounded.
        activations: whether the values of activations are rounded.
        active: whether the current pass rounds.
    """

    rounds: Round
    operands: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset({"state", "weight"})
    sums: bool = False
    activations: bool = False
    active: bool = True


@dataclass(frozen=True)
class _Context:
    """Owner of an array: the arithmetic of the run, and the name of the parameter that the array holds, if any."""

    products: _Products
    parameter: str = ""


class _Array(Exact):
    """An array on which every operation is exact, except for those that ``_Products`` rounds."""

    context: Any

    def matmul(self, other: Self) -> Self:
        """Returns the matrix product."""
        products: _Products = self.context.products
        kind = _KINDS.get(other.context.parameter[:9], "gradient")
        one, two = self.value, other.value
        if products.active and kind in products.operands:
            one = products.rounds(one) if "state" in products.parts else one
            two = products.rounds(two) if "weight" in products.parts else two
        if not (products.active and products.sums):
            return self.new(one @ two)
        total = np.zeros((one.shape[0], two.shape[1]))
        for column, row in zip(one.T, two, strict=True):
            total = products.rounds(total + np.outer(column, row))
        return self.new(total)

    def activate(self, activation: Activation) -> Self:
        """Returns the activation's values."""
        products: _Products = self.context.products
        values = activation(self.value)
        return self.new(products.rounds(values) if products.active and products.activations else values)


_KINDS = {"weight_ih": "input", "weight_hh": "recurrent"}


def _in_products(rounds: Round, phase: Phase | None, **options: Any) -> Computation:
    def arithmetic(problem: Problem) -> Arithmetic:
        products = _Products(rounds, **options, active=phase != "backward")
        names = {id(array): name for name, array in problem.parameters.items()}

        def lift(array: Any) -> _Array:
            context: Any = _Context(products, names.get(id(array), ""))
            return _Array(context, np.asarray(array, np.float64))

        def turn() -> None:
            products.active = phase != "forward"

        return Arithmetic(lift, turn)

    return Computation(arithmetic=arithmetic)


@dataclass(frozen=True)
class _RoundingCell(Cell):
    """A cell that rounds in some places. Gradients flow through the rounding unchanged.

    Attributes:
        places: the rounding of ``z``, of the ``gates``, of ``c``, of the ``stored c``, and of ``h``.
    """

    places: Mapping[str, Round] = field(default_factory=dict)

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        m, c, step = super().step(self._round("z", z), c_previous)
        if not self.places.keys().isdisjoint(("gates", "c")):
            step.gates[...] = self._round("gates", step.gates)
            i, f, g, o = blocks(step.gates, c.shape[-1])
            c = self._round("c", f * c_previous + i * g)
            step = step._replace(squashed=self.cell_state(c))
            m = o * step.squashed
        return self._round("h", m), self._round("stored c", c), step

    def _round(self, place: str, array: Any) -> Any:
        return elementwise(self.places[place])(array) if place in self.places else array


def _in_cell(rounds: Round, phase: Phase | None, place: str) -> Computation:
    del phase

    def rounding(cell: Cell, layer: int, suffix: str) -> Cell:
        del layer, suffix
        own = {each.name: getattr(cell, each.name) for each in fields(cell)}
        return _RoundingCell(**own | {"places": {**own.get("places", {}), place: rounds}})

    return Computation(cell=rounding)


def _in_tensors(rounds: Round, phase: Phase | None, prefixes: tuple[str, ...]) -> Computation:
    """Returns a computation that reads rounded tensors."""
    del phase
    return Computation(
        read=lambda name, array: rounds(np.asarray(array, np.float64)) if name.startswith(prefixes) else array
    )


def _on_return(rounds: Round, phase: Phase | None, prefixes: tuple[str, ...]) -> Computation:
    """Returns a computation that returns rounded tensors."""
    del phase
    return Computation(returned=lambda name, array: rounds(array) if name.startswith(prefixes) else array)


def _operands(*kinds: str, parts: tuple[str, ...] = ("state", "weight")) -> _Make:
    return partial(_in_products, operands=frozenset(kinds), parts=frozenset(parts))


_PLACES = (
    _Place("the operands of all matrix products", _operands("input", "recurrent", "gradient")),
    _Place("the operands of the recurrent product", _operands("recurrent")),
    _Place("the operands of the input product", _operands("input")),
    _Place("the hidden state in the recurrent product", _operands("recurrent", parts=("state",))),
    _Place("the weights in matrix products", _operands("input", "recurrent", parts=("weight",))),
    _Place("the sums of matrix products", partial(_in_products, sums=True)),
    _Place("the activations", partial(_in_products, activations=True)),
    _Place("the gates", partial(_in_cell, place="gates"), phased=False, in_cell=True),
    _Place("the cell state", partial(_in_cell, place="c"), phased=False, in_cell=True),
    _Place("the stored cell state", partial(_in_cell, place="stored c"), phased=False, in_cell=True),
    _Place("the hidden state", partial(_in_cell, place="h"), phased=False, in_cell=True),
    _Place("the pre-activations", partial(_in_cell, place="z"), phased=False, in_cell=True),
    _Place("all parameters", partial(_in_tensors, prefixes=("weight", "bias")), phased=False),
    _Place("all weights", partial(_in_tensors, prefixes=("weight",)), phased=False),
    _Place("weight_hh", partial(_in_tensors, prefixes=("weight_hh",)), phased=False),
    _Place("weight_ih", partial(_in_tensors, prefixes=("weight_ih",)), phased=False),
    _Place("the biases", partial(_in_tensors, prefixes=("bias",)), phased=False),
    _Place("the input", partial(_in_tensors, prefixes=("input",)), phased=False),
    _Place("the initial states", partial(_in_tensors, prefixes=("h_0", "c_0")), phased=False),
    _Place("all that it reads", partial(_in_tensors, prefixes=("",)), phased=False),
    _Place("the returned results", partial(_on_return, prefixes=RESULTS), phased=False),
    *(_Place(f"the returned {name}", partial(_on_return, prefixes=(name,)), phased=False) for name in RESULTS),
    _Place("the returned gradients", partial(_on_return, prefixes=("grad.",)), phased=False, returns_gradients=True),
)

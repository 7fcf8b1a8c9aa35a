"""Implementations that make mistakes: the reference, changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import reference
from benchmarks.grammar.curves import RoundingCell, curved, round_to_bits
from benchmarks.grammar.elements import Arrays, LinearMap, directions
from benchmarks.grammar.mistake import RESULTS, STATES, Mistake
from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.cases.features import DTYPES
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference.cell import Cell
from reference.network import Trace


class Broken(Adapter):
    """An LSTM that makes mistakes.

    Attributes:
        mistakes: the mistakes. Those whose conditions a case does not meet change nothing in it.
    """

    features = frozenset(
        {"layers", "bidirectional", "reverse", "lengths", "dropout", "no bias", "unbatched", "batch first"}
        | {"state omitted", "gradients", *DTYPES}
    )

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.name = "broken"
        self.mistakes = tuple(mistakes)
        self._memory: dict[tuple[Any, ...], Arrays] = {}

    def supports(self, case: Case) -> str | None:
        """Refuses what a plain LSTM does not have."""
        return super().supports(case) or ("it has no dropout and no NaN" if case.drops or case.input_nan else None)

    def solve(self, problem: Problem) -> Solution:
        """Solves a problem with the mistakes."""
        case = problem.case
        run = _Run(
            [each for each in self.mistakes if each.applies_to(case)], _time_major(problem), self._memory_of(problem)
        )
        with np.errstate(all="ignore"):
            found = run.solve()
        found = {name: _layout(name, np.asarray(found[name]), case) for name in problem.expected_shapes()}
        return {name: round_to(case.dtype, np.ascontiguousarray(array)) for name, array in found.items()}

    def forget(self) -> None:
        """Forgets all earlier calls."""
        self._memory.clear()

    def _memory_of(self, problem: Problem) -> Arrays:
        """Returns what is kept from earlier calls with the same shapes."""
        case = problem.case
        key = (problem.input.shape, case.hidden_sizes, case.direction, case.bias, case.dtype)
        return self._memory.setdefault(key, {})


def _time_major(problem: Problem) -> Problem:
    """Returns a problem with a batch axis, time-major."""
    case = problem.case
    if case.rows is None:
        state = problem.initial_state
        return replace(
            problem,
            case=case.model_copy(update={"batch": 1, "batch_first": False}),
            input=problem.input[:, None],
            initial_state=state and {name: array[:, None] for name, array in state.items()},
            cotangents={name: array[:, None] for name, array in problem.cotangents.items()},
        )
    if not case.batch_first:
        return problem
    return replace(
        problem,
        case=case.model_copy(update={"batch_first": False}),
        input=problem.input.swapaxes(0, 1),
        cotangents={**problem.cotangents, "output": problem.cotangents["output"].swapaxes(0, 1)},
    )


def _layout(name: str, array: Any, case: Case) -> Any:
    """Returns a tensor in the layout of a case."""
    if name.startswith(("grad.weight", "grad.bias")):
        return array
    if case.rows is None:
        return array[:, 0]
    is_sequence = name in ("output", "grad.input")
    return array.swapaxes(0, 1) if case.batch_first and is_sequence else array


@dataclass
class _Run:
    """One call of a broken LSTM, with a time-major problem."""

    mistakes: Sequence[Mistake]
    problem: Problem
    memory: Arrays
    _traces: list[Trace] = field(default_factory=list)

    def solve(self) -> Arrays:
        case, problem = self.problem.case, self.problem
        read: Arrays = {**problem.parameters, "input": problem.input, **(problem.initial_state or {})}
        reads = [(each.follows, LinearMap(each, read, case)) for each in self._of("reads")]
        for _, change in reads:
            read = change.forward(read)
        read = self._remembered(self._rounded(read))
        results = self._forward(read)
        returns = [(each.follows, LinearMap(each, results, case)) for each in self._of("returns")]
        found = results
        for _, change in returns:
            found = change.forward(found)
        if "gradients" in case.check:
            cotangents: Arrays = {name: problem.cotangents[name] for name in RESULTS}
            for mistake in self._of("cotangents"):
                cotangents = LinearMap(mistake, cotangents, case).forward(cotangents)
            for follows, change in reversed(returns):
                cotangents = change.backward(cotangents) if follows else cotangents
            gradients = self._backward(cotangents)
            for follows, change in reversed(reads):
                gradients = change.backward(gradients) if follows else gradients
            for mistake in self._of("gradients"):
                gradients = LinearMap(mistake, gradients, case).forward(gradients)
            found = found | {f"grad.{name}": array for name, array in gradients.items()}
        return self._remember(found)

    def _of(self, role: str) -> list[Mistake]:
        return [each for each in self.mistakes if each.role == role]

    def _rounded(self, read: Arrays) -> Arrays:
        for mistake in self._of("rounding"):
            if mistake.kinds:
                read = {
                    name: round_to_bits(array, mistake.change.value) if name.startswith(mistake.kinds) else array
                    for name, array in read.items()
                }
        return read

    # ----------------------------------------------------------------------- the stack, one layer at a time

    def _forward(self, read: Arrays) -> Arrays:
        case, mask = self.problem.case, self._mask()
        directions_count = case.model.num_directions
        x: Any = read["input"]
        finals: list[Arrays] = []
        for layer in range(case.num_layers):
            model = replace(case.model, input_size=x.shape[-1], hidden_sizes=case.hidden_sizes[:1])
            own = slice(layer * directions_count, (layer + 1) * directions_count)
            states = {name: read[name][own] for name in STATES if name in read}
            trace = reference.forward(
                model,
                {name: read[name.replace("_l0", f"_l{layer}")] for name in model.parameter_shapes()},
                x,
                states or None,
                mask=mask,
                cell={suffix: self._cell(layer, d) for suffix, d in zip(model.suffixes, directions(case), strict=True)},
                lift=_single if any(each.change.verb == "all" for each in self._of("rounding")) else reference.float64,
            )
            self._traces.append(trace)
            x = trace.outputs["output"]
            finals.append(trace.outputs)
        return {"output": x, **{name: np.concatenate([each[name] for each in finals]) for name in ("h_n", "c_n")}}

    def _backward(self, cotangents: Arrays) -> Arrays:
        case = self.problem.case
        count = case.model.num_directions
        d_y: Any = cotangents["output"]
        layers: list[Arrays] = []
        for layer in reversed(range(case.num_layers)):
            own = slice(layer * count, (layer + 1) * count)
            trace = self._traces[layer]
            finals = {name: cotangents[name][own] for name in ("h_n", "c_n")}
            layers.insert(0, reference.backward(trace, {"output": d_y, **finals}))
            d_y = layers[0]["grad.input"]
        found: Arrays = {"input": d_y}
        for layer, gradients in enumerate(layers):
            for name in self._traces[layer].model.parameter_shapes():
                found[name.replace("_l0", f"_l{layer}")] = gradients[f"grad.{name}"]
        if self.problem.initial_state is not None:
            found |= {name: np.concatenate([each[f"grad.{name}"] for each in layers]) for name in STATES}
        order = [*self.problem.parameters, "input", *(self.problem.initial_state or {})]
        return {name: np.asarray(found[name], np.float64) for name in order}

    def _cell(self, layer: int, direction: int) -> Cell:
        at = {"layer": np.array(layer), "direction": np.array(direction)}
        activations = {}
        for mistake in self._of("activation"):
            if all(place.holds(at, self.problem.case) for place in mistake.where):
                activations[mistake.change.axis] = curved(mistake.change, mistake.follows)
        rounded = {
            each.change.verb: each.change.value
            for each in self._of("rounding")
            if not each.kinds and each.change.verb != "all"
        }
        return RoundingCell(rounded=rounded, **activations) if rounded else Cell(**activations)

    def _mask(self) -> Any:
        case, lengths = self.problem.case, self.problem.lengths
        if lengths is None:
            return self.problem.mask
        for mistake in self._of("lengths"):
            lengths = {
                "ignored": np.full_like(lengths, case.seq_len),
                "too-large": np.minimum(lengths + 1, case.seq_len),
                "too-small": np.maximum(lengths - 1, 0),
                "reversed": lengths[::-1],
                "of-first-row": np.full_like(lengths, lengths[0]),
                "ascending": np.sort(lengths),
                "descending": np.sort(lengths)[::-1],
            }[mistake.change.verb]
        return np.arange(case.seq_len)[:, None] < lengths

    # ----------------------------------------------------------------------- earlier calls

    def _remembered(self, read: Arrays) -> Arrays:
        """Replaces arrays by those that an earlier call read or returned, if the mistake is to remember them."""
        for mistake in self._of("history"):
            if mistake.change.verb == "first-call":
                for name in read:
                    if name.startswith(mistake.kinds):
                        read[name] = self.memory.setdefault(f"first.{name}", read[name])
            elif mistake.change.verb == "carried" and "h_0" not in read:
                last = {name: self.memory.get(name[0] + "_n") for name in STATES}
                if all(array is not None for array in last.values()):
                    read |= last
        return read

    def _remember(self, found: Arrays) -> Arrays:
        """Returns results of the last call in place of some of this one, and keeps this one's."""
        returned = dict(found)
        for mistake in self._of("history"):
            for name, array in found.items():
                last = self.memory.get(name)
                if last is None or name.partition("_l")[0] not in mistake.kinds or last.shape != array.shape:
                    continue
                if mistake.change.verb == "stale":
                    returned[name] = last
                elif mistake.change.verb == "accumulated":
                    returned[name] = array + last
        kept: Mapping[str, Any] = returned if self._accumulates() else found
        self.memory.update(kept)
        return returned

    def _accumulates(self) -> bool:
        return any(each.change.verb == "accumulated" for each in self._of("history"))


def _single(array: Any) -> Any:
    return np.asarray(array, np.float32)

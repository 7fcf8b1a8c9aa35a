"""Implementations that read or return something wrongly, and unusual ones that are correct.

They change the reference by hand, without the rules of the experiments. Gradients that follow a wrong read are added up
by hand as well.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.verdict.oracle import solve
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import Dialect

Arrays = dict[str, Any]


class Altered(Adapter):
    """The reference, changed before and after it runs, and rounded to the dtype of the case.

    Attributes:
        before: function that changes the problem.
        after: function that changes the tensors, given the original problem.
        refuses: function that returns whether a case is unsupported.
    """

    def __init__(
        self,
        name: str,
        before: Callable[[Problem], Problem] = lambda problem: problem,
        after: Callable[[Arrays, Problem], Arrays] = lambda found, _: found,
        refuses: Callable[[Case], bool] = lambda _: False,
    ) -> None:
        self.name, self.before, self.after, self.refuses = name, before, after, refuses

    def supports(self, case: Case) -> str | None:
        return "it does not support this" if self.refuses(case) else None

    def solve(self, problem: Problem) -> Solution:
        found = self.after(dict(solve(self.before(problem), Dialect())), problem)
        return {name: round_to(problem.case.dtype, np.asarray(found[name])) for name in problem.expected_shapes()}


def no_gradients(case: Case) -> bool:
    return "gradients" in case.check


def parameters(problem: Problem, change: Callable[[str, Arrays], Any]) -> Problem:
    """Replaces each parameter by a function of its name and all parameters."""
    return replace(problem, parameters={name: change(name, dict(problem.parameters)) for name in problem.parameters})


def states(problem: Problem, change: Callable[[str, Arrays], Any]) -> Problem:
    """Replaces each initial state by a function of its name and all states."""
    state = problem.initial_state
    return replace(problem, initial_state=state and {name: change(name, dict(state)) for name in state})


def forward_bias_in_reverse(problem: Problem) -> Problem:
    def change(name: str, arrays: Arrays) -> Any:
        other = name.removesuffix("_reverse")
        return arrays[other] if name.startswith("bias") and other in arrays else arrays[name]

    return parameters(problem, change)


def sum_bias_gradients(found: Arrays, problem: Problem) -> Arrays:
    for name in problem.parameters:
        other = f"grad.{name.removesuffix('_reverse')}"
        if name.startswith("bias") and name.endswith("_reverse") and other in found:
            found[other] = found[other] + found[f"grad.{name}"]
            found[f"grad.{name}"] = np.zeros_like(found[other])
    return found


def reverse_h_0_rows(problem: Problem) -> Problem:
    return states(problem, lambda name, arrays: arrays[name][:, ::-1] if name == "h_0" else arrays[name])


def reverse_h_0_gradient_rows(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | ({"grad.h_0": found["grad.h_0"][:, ::-1]} if "grad.h_0" in found else {})


def c_0_of_layer_0(problem: Problem) -> Problem:
    def change(name: str, arrays: Arrays) -> Any:
        directions = problem.case.model.num_directions
        return np.concatenate([arrays[name][:directions]] * problem.case.num_layers) if name == "c_0" else arrays[name]

    return states(problem, change)


def ignore_bias_hh_of_layer_1(problem: Problem) -> Problem:
    return parameters(problem, lambda name, arrays: arrays[name] * (0.0 if name.startswith("bias_hh_l1") else 1.0))


def no_bias_hh_gradient_of_layer_1(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return {
        name: np.zeros_like(array) if name.startswith("grad.bias_hh_l1") else array for name, array in found.items()
    }


def ignore_lengths(problem: Problem) -> Problem:
    return replace(problem, lengths=None, mask=None)


def zeros_in_padding(found: Arrays, problem: Problem) -> Arrays:
    if problem.mask is None:
        return found
    return found | {"output": found["output"] * problem.mask[..., None]}


def store_gates_as_iofg(found: Arrays, problem: Problem) -> Arrays:
    del problem

    def stored(array: Any) -> Any:
        i, f, g, o = np.split(array, 4)
        return np.concatenate([i, o, f, g])

    return {name: stored(array) if name.startswith("grad.weight_hh") else array for name, array in found.items()}


def repeat_last_output(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | {"output": np.broadcast_to(found["output"][-1:], found["output"].shape)}


def average_weight_hh_gradient(found: Arrays, problem: Problem) -> Arrays:
    rows = problem.case.rows or 1
    return {name: array / (rows if name.startswith("grad.weight_hh") else 1) for name, array in found.items()}


def read_gates_as_iofg(problem: Problem) -> Problem:
    def change(name: str, arrays: Arrays) -> Any:
        i, o, f, g = np.split(arrays[name], 4)
        return np.concatenate([i, f, g, o])

    return parameters(problem, change)


def reshape_output(found: Arrays, problem: Problem) -> Arrays:
    steps, rows, width = found["output"].shape
    del problem
    return found | {"output": found["output"].swapaxes(0, 1).reshape(steps, rows, width)}


def ignore_c_n_cotangent(problem: Problem) -> Problem:
    return replace(problem, cotangents={**problem.cotangents, "c_n": np.zeros_like(problem.cotangents["c_n"])})


def double_bias_gradients(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return {name: array * (2 if name.startswith("grad.bias") else 1) for name, array in found.items()}


def reverse_units_of_output(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | {"output": found["output"][..., ::-1]}


def roll_rows_of_h_n(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | {"h_n": np.roll(found["h_n"], 1, axis=1)}


def scale_units_of_c_n(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | {"c_n": found["c_n"] * (1 + 0.25 * (np.arange(found["c_n"].shape[-1]) % 2))}


def scale_c_0(problem: Problem) -> Problem:
    return states(problem, lambda name, arrays: arrays[name] * (0.7 if name == "c_0" else 1.0))


def one_unit_of_h_n_cotangent(problem: Problem) -> Problem:
    h_n = problem.cotangents["h_n"]
    return replace(problem, cotangents={**problem.cotangents, "h_n": h_n[..., [0] * h_n.shape[-1]]})


def add_sine(found: Arrays, problem: Problem) -> Arrays:
    del problem
    return found | {"c_n": found["c_n"] + 0.01 * np.sin(50 * found["c_n"])}


def two_reads(problem: Problem) -> Problem:
    """Ignores bias_hh of the reverse direction, and reads c_0 with the rows in reverse order."""

    def change(name: str, arrays: Arrays) -> Any:
        return arrays[name] * (0.0 if name.startswith("bias_hh") and name.endswith("_reverse") else 1.0)

    found = parameters(problem, change)
    return states(found, lambda name, arrays: arrays[name][:, ::-1] if name == "c_0" else arrays[name])


def add_h_n_and_c_n(found: Arrays, problem: Problem) -> Arrays:
    """Returns the sum of h_n and c_n in one block of c_n."""
    del problem
    c_n = np.array(found["c_n"])
    c_n[0, 0] += found["h_n"][0, 0]
    return found | {"c_n": c_n}


class RowByRow(Altered):
    """Solves each row of the batch on its own, and adds up the gradients of the parameters."""

    def solve(self, problem: Problem) -> Solution:
        parts = [super(RowByRow, self).solve(_row(problem, row)) for row in range(problem.case.rows or 1)]
        return {
            name: np.concatenate([part[name] for part in parts], axis=1)
            if parts[0][name].ndim == 3
            else np.sum([part[name] for part in parts], axis=0)
            for name in parts[0]
        }


def _row(problem: Problem, row: int) -> Problem:
    one, state = slice(row, row + 1), problem.initial_state
    lengths = None if problem.lengths is None else problem.lengths[one]
    own = None if lengths is None else tuple(lengths.tolist())
    return replace(
        problem,
        case=problem.case.model_copy(update={"batch": 1, "lengths": own}),
        input=problem.input[:, one],
        initial_state=state and {name: array[:, one] for name, array in state.items()},
        mask=None if problem.mask is None else problem.mask[:, one],
        lengths=lengths,
        cotangents={name: array[:, one] for name, array in problem.cotangents.items()},
    )


class OwnArithmetic(Altered):
    """Computes in float32 with its own code, without gradients.

    Attributes:
        gates: the order in which it stores the gates.
        backwards: whether it adds up products from the last one to the first one.
    """

    gates = (3, 1, 0, 2)
    backwards = False

    def solve(self, problem: Problem) -> Solution:
        model, x = problem.case.model, problem.input
        finals: dict[str, list[Any]] = {"h": [], "c": []}
        for layer in range(model.num_layers):
            outputs = []
            for direction, suffix in enumerate(model.suffixes):
                h, c = (
                    np.zeros((x.shape[1], model.hidden_sizes[0]), x.dtype)
                    if problem.initial_state is None
                    else model.state(problem.initial_state, name, layer, direction)
                    for name in ("h_0", "c_0")
                )
                y = np.zeros((*x.shape[:2], h.shape[-1]), x.dtype)
                for step in reversed(range(len(x))) if suffix else range(len(x)):
                    valid = np.ones((len(h), 1), bool) if problem.mask is None else problem.mask[step][:, None]
                    new_h, new_c = self._cell(problem, f"l{layer}{suffix}", x[step], h, c)
                    h, c = np.where(valid, new_h, h), np.where(valid, new_c, c)
                    y[step] = np.where(valid, h, 0)
                outputs.append(y)
                finals["h"].append(h)
                finals["c"].append(c)
            x = np.concatenate(outputs, axis=-1)
        return {"output": x, "h_n": np.stack(finals["h"]), "c_n": np.stack(finals["c"])}

    def _cell(self, problem: Problem, key: str, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
        def stored(name: str) -> Any:
            return np.concatenate([np.split(problem.parameters[f"{name}_{key}"], 4)[gate] for gate in self.gates])

        z = self._product(x, stored("weight_ih")) + self._product(h, stored("weight_hh"))
        if problem.case.bias:
            z = z + (stored("bias_ih") + stored("bias_hh"))
        parts = np.split(z, 4, axis=-1)
        i, f, g, o = (parts[self.gates.index(gate)] for gate in range(4))
        one = x.dtype.type(1)
        c = c * (one / (one + np.exp(-f))) + np.tanh(g) / (one + np.exp(-i))
        return np.tanh(c) / (one + np.exp(-o)), c

    def _product(self, x: Any, weight: Any) -> Any:
        if not self.backwards:
            return x @ weight.T
        total = np.zeros((len(x), len(weight)), x.dtype)
        for k in reversed(range(x.shape[1])):
            total = total + x[:, k : k + 1] * weight[:, k]
        return total


class Backwards(OwnArithmetic):
    backwards = True


class Stateful(Altered):
    """Adds the final state of the call before to h_n, if it has the same shape."""

    def __init__(self) -> None:
        super().__init__("stateful")
        self.restart()

    def restart(self) -> None:
        self._last: Any = None

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        h_n = found["h_n"]
        if self._last is not None and self._last.shape == h_n.shape:
            found["h_n"] = h_n + self._last
        self._last = h_n
        return found


class Caches(Altered):
    """Keeps the bias_hh of the first call with the same shapes and the same input."""

    def __init__(self) -> None:
        super().__init__("caches")
        self._kept: dict[bytes, Arrays] = {}

    def solve(self, problem: Problem) -> Solution:
        kept = self._kept.setdefault(problem.input.tobytes(), dict(problem.parameters))
        return super().solve(
            parameters(problem, lambda name, arrays: kept[name] if name.startswith("bias_hh") else arrays[name])
        )

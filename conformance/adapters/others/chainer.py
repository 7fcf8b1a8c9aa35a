"""Adapter for ``chainer.functions.n_step_lstm`` and ``n_step_bilstm``."""

import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays
from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Dialect

Array = NDArray[np.floating]

_ROLES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class ChainerNStepLSTM(Adapter):
    """Drives the functions on NumPy. They take a list of time steps, with rows sorted by decreasing length."""

    name = "chainer.functions.n_step_lstm"
    requires = ("chainer",)
    install = ELSEWHERE
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "batch first", "gradients", "float64", "float32"}
    )
    lacks: ClassVar[Mapping[str, str]] = {
        "dropout": "n_step_lstm draws masks for each direction and step, and does not return them"
    }
    # Chainer stores one array per gate, in this order. Its documentation swaps the last two gates.
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Refuses options that the functions lack, and batches without a valid step."""
        if reason := super().supports(case):
            return reason
        empty = isinstance(case.lengths, tuple) and not any(case.lengths)
        return "n_step_lstm reads sizes from its first time step, and this case has no valid step" if empty else None

    def dialect(self, case: Case) -> Dialect:
        """Declares outputs at padded steps unspecified: a list of time steps holds valid rows only."""
        del case
        return Dialect(padding="unspecified")

    def solve(self, problem: Problem) -> Solution:
        """Runs a function on one variable per time step and one per gate's weight or bias."""
        chainer = _chainer()
        case, model, rows = problem.case, problem.case.model, _Rows(problem)

        def variables(*several: Array) -> list[Any]:
            return [chainer.Variable(array) for array in several]

        assert problem.initial_state is not None
        steps = variables(*rows.steps(problem.input))
        states = variables(*(rows.sorted(problem.initial_state[name]) for name in ("h_0", "c_0")))
        packed = [one for layer in range(model.num_layers) for one in arrays.packed(problem, TORCH, layer)]
        gates = [{role: variables(*np.split(one[role], 4)) for role in _ROLES} for one in packed]
        function = chainer.functions.n_step_bilstm if model.num_directions == 2 else chainer.functions.n_step_lstm
        weights = [one["weight_ih"] + one["weight_hh"] for one in gates]
        biases = [one["bias_ih"] + one["bias_hh"] for one in gates]
        with chainer.using_config("train", case.mode == "train"):
            h_n, c_n, ys = function(model.num_layers, 0.0, *states, weights, biases, steps)
        results = {"output": rows.whole([y.array for y in ys])}
        results |= {"h_n": rows.unsorted(h_n.array), "c_n": rows.unsorted(c_n.array)}
        if "gradients" in case.check:
            given = problem.cotangents
            cotangents = variables(*rows.steps(given["output"]), rows.sorted(given["h_n"]), rows.sorted(given["c_n"]))
            leaves = [*steps, *states, *(v for one in gates for role in _ROLES for v in one[role])]
            found = (v.array for v in chainer.grad([*ys, h_n, c_n], leaves, cotangents))
            results |= _gradients(problem, rows, len(steps), found)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and what the adapter does before and after the functions."""
        return {
            "chainer": _chainer().__version__,
            "numpy": np.__version__,
            "device": "cpu",
            "rows": "sorted by decreasing length, as the functions require; a time step holds the rows valid there",
            "gradients": "chainer.grad",
        }


def _chainer() -> Any:
    """Imports Chainer and suppresses its warnings."""
    with warnings.catch_warnings():
        # Chainer predates its Python and NumPy, and triggers their deprecation warnings.
        warnings.simplefilter("ignore")
        import chainer
    return chainer


class _Rows:
    """Converts arrays to lists of time steps with sorted rows, and back."""

    def __init__(self, problem: Problem) -> None:
        self._case = case = problem.case
        batch = problem.cotangents["h_n"].shape[1]
        self._lengths = np.full(batch, case.seq_len) if problem.lengths is None else problem.lengths
        self._order = np.argsort(-self._lengths, kind="stable")
        self._back = np.argsort(self._order, kind="stable")

    def steps(self, array: Array) -> list[Array]:
        """Returns an input or output as a list of time steps (rows valid there, ·)."""
        whole = arrays.time_major(array, self._case)[:, self._order]
        return [whole[step, : (self._lengths > step).sum()].copy() for step in range(self._lengths.max())]

    def whole(self, steps: Sequence[Array]) -> Array:
        """Joins a list of time steps into one array with the case's axes, and zeros in the padding."""
        result = np.zeros((self._case.seq_len, len(self._lengths), steps[0].shape[1]), steps[0].dtype)
        for step, own in enumerate(steps):
            result[step, : len(own)] = own
        result = result[:, self._back]
        return np.array(result.swapaxes(0, 1) if self._case.batch_first else result, order="C")

    def sorted(self, state: Array) -> Array:
        """Returns a state (·, B, ·) with its rows sorted."""
        return np.array(state[:, self._order], order="C")

    def unsorted(self, state: Array) -> Array:
        """Returns a state with its rows in the case's order, the inverse of ``sorted``."""
        return np.array(state[:, self._back], order="C")


def _gradients(problem: Problem, rows: _Rows, steps: int, found: Iterator[Array]) -> dict[str, Array]:
    """Returns the gradients of time steps, states and gates under their canonical names."""
    model = problem.case.model
    results = {"grad.input": rows.whole([next(found) for _ in range(steps)])}
    results |= {f"grad.{name}": rows.unsorted(next(found)) for name in ("h_0", "c_0")}
    for layer in range(model.num_layers):
        own = [{role: np.concatenate([next(found) for _ in range(4)]) for role in _ROLES} for _ in model.suffixes]
        results |= arrays.weight_gradients(model, TORCH, layer, own)
    return results

"""Real implementations, loaded wrongly: what a user's own adapter may look like."""

from dataclasses import replace

import numpy as np

from conformance.adapters import Solution
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.verdict.problem import Array, Problem, Tensors


class WrongGates(TorchLSTM):
    """Reads the gates i, o, f, g, and leaves the gradients in that order."""

    name = "broken.WrongGates"

    def solve(self, problem: Problem) -> Solution:
        read = {name: _from_iofg(array) if _gated(name) else array for name, array in problem.parameters.items()}
        return super().solve(replace(problem, parameters=read))


class WrongGatesPutBack(WrongGates):
    """Reads the gates i, o, f, g, and puts the gradients back to where it read."""

    name = "broken.WrongGatesPutBack"

    def solve(self, problem: Problem) -> Solution:
        found: Tensors = super().solve(problem)
        return {name: _to_iofg(array) if _gated(name) else array for name, array in found.items()}


class Odd(TorchLSTM):
    """Wrong in a way that nobody has thought of."""

    name = "broken.Odd"

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        return found | {"c_n": found["c_n"] + 0.01 * np.sin(50 * found["c_n"]).astype(found["c_n"].dtype)}


def _gated(name: str) -> bool:
    return name.removeprefix("grad.").startswith(("weight_ih", "weight_hh", "bias"))


def _from_iofg(array: Array) -> Array:
    i, o, f, g = np.split(array, 4)
    return np.concatenate([i, f, g, o])


def _to_iofg(array: Array) -> Array:
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, o, f, g])

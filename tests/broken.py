"""Adapters of a real implementation with mistakes that the adapters of users may have."""

from dataclasses import replace

import numpy as np

from conformance.adapters import Solution
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.verdict.problem import Problem, Tensors
from conformance.verdict.random_arrays import Array


class WrongGates(TorchLSTM):
    """Reads the gates as i, o, f, g, and returns the gradients in that order."""

    name = "broken.WrongGates"

    def solve(self, problem: Problem) -> Solution:
        read = {name: _from_iofg(array) if _has_gates(name) else array for name, array in problem.parameters.items()}
        return super().solve(replace(problem, parameters=read))


class WrongGatesMappedBack(WrongGates):
    """Reads the gates as i, o, f, g, and maps the gradients back to the order of the weights."""

    name = "broken.WrongGatesMappedBack"

    def solve(self, problem: Problem) -> Solution:
        found: Tensors = super().solve(problem)
        return {name: _to_iofg(array) if _has_gates(name) else array for name, array in found.items()}


class Unexplained(TorchLSTM):
    """Deviates in a way that is not in the catalogue of defects."""

    name = "broken.Unexplained"

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        return found | {"c_n": found["c_n"] + 0.01 * np.sin(50 * found["c_n"]).astype(found["c_n"].dtype)}


def _has_gates(name: str) -> bool:
    return name.removeprefix("grad.").startswith(("weight_ih", "weight_hh", "bias"))


def _from_iofg(array: Array) -> Array:
    i, o, f, g = np.split(array, 4)
    return np.concatenate([i, f, g, o])


def _to_iofg(array: Array) -> Array:
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, o, f, g])

"""Derivatives along a direction, ``jvp`` and ``hvp``, of an LSTM with a defect."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.defects.defect import Arrays, Defect
from conformance.defects.forward import Forward, read_tensors, run_reference
from conformance.verdict.problem import Problem


def derivatives(defect: Defect, problem: Problem, dialect: reference.Dialect) -> Arrays:
    """Returns the derivatives ``jvp`` and ``hvp`` of an LSTM with a defect.

    What the defect adds to the results and gradients of the reference is differentiated by a central difference, which
    needs no more of a defect than that it runs. Its error, about 1e-9 of what the defect adds, exceeds the budget of
    float64. Tensors that the defect does not change are exact.
    """
    case = problem.case
    direction = dict(problem.complete_tangents())
    if defect.tangents:
        direction = defect.tangents(direction, case)
    found = _reference_derivatives(defect, problem, direction, dialect)
    if not defect.changes_only_derivatives:
        checks = ("output", "h_n", "c_n", *["gradients"] * ("hvp" in case.check))
        sides = []
        for step in (_STEP, -_STEP):
            moved = _moved(problem, direction, step, checks)
            runs = [Forward.run(each, moved, dialect) for each in (defect, _CORRECT)]
            wrong, right = (run.outputs | run.gradients() for run in runs)
            sides.append({name: wrong[name] - right[name] for name in right})
        for name in sides[0]:
            prefixed = f"hvp.{name.removeprefix('grad.')}" if name.startswith("grad.") else f"jvp.{name}"
            found[prefixed] = found[prefixed] + (sides[0][name] - sides[1][name]) / (2 * _STEP)
    return defect.derivatives(found, case) if defect.derivatives else found


_STEP = 2.0**-20
"""Step of the central difference, in units of the direction."""
_CORRECT = Defect("correct", "without a defect")


def _moved(problem: Problem, direction: Arrays, step: float, checks: tuple[str, ...]) -> Problem:
    """Returns the problem with all arrays that are differentiated moved along a direction."""

    def move(arrays: Mapping[str, NDArray[np.floating]]) -> Arrays:
        # In float16, a step would underflow.
        steps = {name: step * reference.float64(direction[name]) for name in arrays}
        return {name: reference.float64(array) + steps[name] for name, array in arrays.items()}

    return replace(
        problem,
        case=problem.case.model_copy(update={"check": checks}),
        parameters=move(problem.parameters),
        input=move({"input": problem.input})["input"],
        initial_state=problem.initial_state and move(problem.initial_state),
    )


def _reference_derivatives(defect: Defect, problem: Problem, direction: Arrays, dialect: reference.Dialect) -> Arrays:
    """Returns the reference's derivatives along a direction, with the defect's ``saved_tangents``."""
    case = problem.case
    trace = run_reference(_CORRECT, problem, dict(read_tensors(problem)), dialect, direction)
    found = {f"jvp.{name}": dual.derivative for name, dual in trace.outputs.items()}
    if "hvp" in case.check:
        if saved := defect.saved_tangents:
            trace = replace(trace, _passes=[[saved(each, case) for each in layer] for layer in trace._passes])
        gradients = reference.backward(trace, problem.complete_cotangents())
        found |= {f"hvp.{name.removeprefix('grad.')}": dual.derivative for name, dual in gradients.items()}
    return found

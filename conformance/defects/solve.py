"""Solves a problem with an LSTM that has a defect."""

import reference
from conformance.defects.defect import Arrays, Defect
from conformance.defects.derivatives import derivatives
from conformance.defects.forward import Forward
from conformance.verdict.problem import Problem


def solve(defect: Defect, problem: Problem, dialect: reference.Dialect) -> Arrays:
    """Solves a problem with an LSTM that has a defect, in float64.

    Args:
        defect: the defect.
        problem: the problem.
        dialect: conventions of the LSTM.

    Returns:
        The tensors of ``problem.expected_shapes()``, by name.
    """
    solution = Forward.run(defect, problem, dialect)
    results = solution.outputs | solution.gradients()
    if problem.case.has_direction:
        results |= derivatives(defect, problem, dialect)
    return {name: results[name] for name in problem.expected_shapes()}

"""Solving a problem, with what is required of an implementation besides the values of its results."""

from dataclasses import replace

from conformance.adapters import Adapter, Solution
from conformance.run.attempt import Attempt
from conformance.verdict import declared, repeated
from conformance.verdict.judge import TensorVerdict, Verdict, is_declaration
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem


def solve(
    adapter: Adapter, problem: Problem, expectation: Expectation, attempt: Attempt
) -> tuple[Solution, list[TensorVerdict]]:
    """Solves a problem, and again without its earlier calls if these are the same call and draw no dropout masks.

    Returns:
        The solution, and verdicts on wrong declarations: of shapes, and of results that repeat exactly.

    Raises:
        RaisedError: the implementation raised an error.
    """
    with declared.recording() as shapes:
        solution = attempt.solve(problem)
    wrong = declared.verdicts(shapes)
    case = problem.case
    if set(case.earlier_calls) == {"same"} and not case.drops:
        first = attempt.solve(replace(problem, case=case.model_copy(update={"earlier_calls": ()})))
        differing = repeated.differences(first, solution, expectation)
        if adapter.repeats_exactly:
            wrong += repeated.verdicts(differing)
        else:
            attempt.notes += [f"{name} {words}" for name, words in differing.items()]
    return solution, wrong


def has_only_wrong_declarations(verdict: Verdict) -> bool:
    """Returns whether the values conform, but not what the implementation declares about them."""
    failing = [tensor.name for tensor in verdict.tensors if not tensor.conforms]
    return bool(failing) and all(map(is_declaration, failing))

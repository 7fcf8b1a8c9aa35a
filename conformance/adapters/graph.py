"""Graphs of two calls, which a case requires with ``graph``: what is called, and how the calls are connected.

The functions slice, reverse and join arrays, as users' models do. They compute nothing that the implementation should
compute.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from conformance.adapters import uses
from conformance.cases.case import Case
from conformance.cases.uses import first_part
from conformance.verdict.problem import Problem

USES = frozenset({"twice in a graph", "encoder and decoder", "two in parallel"})
"""Features of the graphs."""

Reverse = Callable[[Any, int], Any]
"""Function that reverses an array along an axis."""


def calls(problem: Problem) -> tuple[Problem, Problem]:
    """Returns the problems of the two calls of a graph, each with the weights of the LSTM that is called.

    The decoder's initial states, which come from the encoder, are zeros here.
    """
    case, part = problem.case, first_part(problem.case)
    match case.graph:
        case "twice":
            return _some_rows(problem, 0, part), _some_rows(problem, part, case.num_rows)
        case "encoder-decoder":
            encoder, decoder = (_some_steps(problem, *cut) for cut in ((0, part), (part, case.seq_len)))
            given = decoder.case.model_copy(update={"initial_state": "zero"})
            return encoder, replace(decoder, case=given, initial_state=problem.complete_state())
        case _:
            return _one_direction(problem, 0), _one_direction(problem, 1)


def run(case: Case, both: Sequence[uses.Call], given: uses.Named, join: uses.Join, reverse: Reverse) -> dict[str, Any]:
    """Runs a graph on arrays of any framework, for example while the framework traces it.

    Args:
        case: the case.
        both: functions that call the LSTM or the LSTMs.
        given: arguments, with the states (B, ·) of each layer and direction under the names of ``uses.name_states``.
        join: function that concatenates arrays of the framework.
        reverse: function that reverses an array of the framework.
    """
    first, second = both
    axis, part = uses.time_axis(case), first_part(case)
    match case.graph:
        case "twice":
            one, other = (
                {name: uses.cut(array, uses.rows_first(case, name), *cut) for name, array in given.items()}
                for cut in ((0, part), (part, case.num_rows))
            )
            results = first(one), second(other)
            return {name: join([each[name] for each in results], uses.rows_first(case, name)) for name in results[0]}
        case "encoder-decoder":
            encoded = first({**given, "input": uses.cut(given["input"], axis, 0, part)})
            rest = uses.cut(given["input"], axis, part, case.seq_len)
            decoded = second({"input": rest, **uses.as_initial(encoded)})
            return {**decoded, "output": join([encoded["output"], decoded["output"]], axis)}
        case _:
            of_second = {f"{name[:-1]}0": array for name, array in given.items() if name.endswith("_1")}
            forward = first({name: array for name, array in given.items() if not name.endswith("_1")})
            backward = second({"input": reverse(given["input"], axis), **of_second})
            output = join([forward["output"], reverse(backward["output"], axis)], -1)
            finals = {f"{name[:-1]}1": array for name, array in backward.items() if name != "output"}
            return {**forward, **finals, "output": output}


def activations_apart(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the activations of each direction, which can be the same three for both."""
    return names[:3], names[-3:]


def _some_rows(problem: Problem, start: int, stop: int) -> Problem:
    case = problem.case

    def rows(name: str, array: Any) -> Any:
        return uses.cut(array, uses.row_axis(case, name), start, stop)

    mask = None if problem.mask is None else problem.mask[:, start:stop]
    return _changed(
        problem,
        {"batch": stop - start, "lengths": None if mask is None else tuple(int(steps) for steps in mask.sum(0))},
        input=rows("input", problem.input),
        initial_state=problem.initial_state and {name: rows(name, a) for name, a in problem.initial_state.items()},
        mask=mask,
        lengths=None if problem.lengths is None else rows("lengths", problem.lengths),
    )


def _some_steps(problem: Problem, start: int, stop: int) -> Problem:
    steps = uses.cut(problem.input, uses.time_axis(problem.case), start, stop)
    return _changed(problem, {"seq_len": stop - start}, input=steps)


def _one_direction(problem: Problem, direction: int) -> Problem:
    """Returns the problem of an LSTM with the weights and states of one direction, which reads forward."""
    suffix = problem.case.model.suffixes[direction]
    own = {name: array for name, array in problem.parameters.items() if name.endswith("_reverse") == bool(suffix)}
    return _changed(
        problem,
        {"direction": "forward", "activations": activations_apart(problem.case.activations)[direction]},
        parameters={name.removesuffix(suffix): array for name, array in own.items()},
        initial_state=problem.initial_state
        and {name: array[direction : direction + 1] for name, array in problem.initial_state.items()},
    )


def _changed(problem: Problem, options: dict[str, Any], **arrays: Any) -> Problem:
    """Returns a problem with other options and arrays, and with a graph of one call."""
    case = problem.case.model_copy(update={**options, "graph": "single"})
    return replace(problem, case=case, cotangents={}, tangents={}, **arrays)

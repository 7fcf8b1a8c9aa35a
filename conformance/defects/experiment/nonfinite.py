"""Finds out where NaN or infinity begins in a solution, and which tensor that is read it comes from."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.diagnosis.where import comparable_tensors
from conformance.defects.experiment.trial import Arrays, Subject, Trial, tensors_read, with_block
from conformance.verdict.judge import describe_element
from conformance.verdict.problem import Problem

_MAX_MOMENTS = 16
"""Number of steps with NaN in the input up to which each is tried alone. Otherwise, each row is."""
_MAX_LISTED = 3
"""Number of sources to list."""
_FACTOR = 2.0**-10
"""Factor that makes a tensor so small that it causes no overflow."""


def describe_nonfinite(subject: Subject, trial: Trial) -> str:
    """Describes where NaN or infinity begins, and its source; empty if every element is finite that must be."""
    begin = _begin(trial)
    return "; ".join(filter(None, (begin, _source(subject, trial)))) if begin else ""


def _lost(trial: Trial, solution: Arrays) -> dict[str, NDArray[np.bool_]]:
    """Returns which elements are not finite but must be, for each tensor that has some."""
    expected = trial.judged.expectation
    found = {}
    for name in comparable_tensors(trial.judged._replace(solution=solution)):
        specified = np.isfinite(expected.values[name]) & ~np.isinf(expected.budget[name])
        found[name] = ~np.isfinite(np.asarray(solution[name], np.float64)) & specified
    return {name: lost for name, lost in found.items() if lost.any()}


# --------------------------------------------------------------------------- beginning


def _begin(trial: Trial) -> str:
    """Describes the first element that is not finite, in the order of computation."""
    solution, case = dict(trial.judged.solution), trial.case
    lost = _lost(trial, solution)
    if not lost:
        return ""
    results = [name for name in lost if "." not in name]
    names = results or sorted(lost, key=_backward_order)
    lower = [name for name in results if name != "output" and _layers(case, name, lost[name])[0] < case.num_layers - 1]
    name = lower[0] if lower else names[0]
    index = _first_output(case, lost[name]) if name == "output" else tuple(np.argwhere(lost[name])[0])
    units = lost[name][index[:-1]] if lost[name].ndim > 1 else lost[name]
    place = describe_element(case, name, tuple(map(int, index)))
    if name == "output":
        width = units.size // case.model.num_directions
        units = units[index[-1] // width * width :][:width]
    if units.all() and name in ("output", *results):
        place = place.rpartition(", unit")[0] + ", all units"
    number = np.asarray(solution[name], np.float64)[index]
    words = "NaN" if np.isnan(number) else "infinity"
    before = "" if results else "all results are finite; "
    return f"{before}{words} begins in {name} at {place}"


def _backward_order(name: str) -> tuple[bool, int]:
    """Sorts the gradients of parameters from the last layer to the first one, and other gradients after them."""
    layer = name.partition("_l")[2].partition("_")[0]
    return (not layer.isdigit(), -int(layer) if layer.isdigit() else 0)


def _layers(case: Case, name: str, lost: NDArray[np.bool_]) -> list[int]:
    """Returns the layers of a final state with lost elements, in ascending order."""
    if not case.model.is_uniform:
        return [int(name.partition("_l")[2])]
    return [int(state) // case.model.num_directions for state in np.unique(np.nonzero(lost)[0])]


def _first_output(case: Case, lost: NDArray[np.bool_]) -> tuple[int, ...]:
    """Returns the index of the lost element of ``output`` that is computed first."""
    axis = 1 if case.batch_first and case.rows else 0
    width = lost.shape[-1] // case.model.num_directions
    indices = np.argwhere(lost)
    suffixes = np.array([suffix == "_reverse" for suffix in case.model.suffixes])
    is_reverse = suffixes[indices[:, -1] // width]
    processed = np.where(is_reverse, case.seq_len - 1 - indices[:, axis], indices[:, axis])
    return tuple(int(i) for i in indices[np.argmin(processed)])


# --------------------------------------------------------------------------- source


def _source(subject: Subject, trial: Trial) -> str:
    """Describes which tensor that is read makes elements infinite or NaN."""
    problem = trial.problem
    given = np.isnan(problem.input)
    if given.any():
        if _is_lost(subject, trial, _with_input(problem, np.nan_to_num(problem.input))):
            return "it does not come from NaN in the input"
        return f"it comes from NaN in the input{_moments(_places(subject, trial, given))}"
    if problem.mask is not None and not problem.mask.all():
        valid = problem.mask.T if trial.case.batch_first else problem.mask
        if not _is_lost(subject, trial, _with_input(problem, problem.input * valid[..., None])):
            return "it comes from the values in the padding"
    small = [name for name, changed in _scaled(problem) if not _is_lost(subject, trial, changed)]
    return f"it does not occur if {' or '.join(small)} is multiplied by 1/1024" if small else ""


def _is_lost(subject: Subject, trial: Trial, problem: Problem) -> bool:
    return bool(_lost(trial, subject.solve(problem)))


def _with_input(problem: Problem, array: NDArray[Any]) -> Problem:
    return with_block(problem, {"input": array.astype(problem.input.dtype)})


def _places(subject: Subject, trial: Trial, given: NDArray[np.bool_]) -> list[str]:
    """Returns the steps and rows whose NaN alone has the effect; rows if there are many of them."""
    problem, case = trial.problem, trial.case
    axes = {"step": 1 if case.batch_first and case.rows else 0}
    if case.rows:
        axes = {**axes, "row": 1 - axes["step"]}
    moments = np.unique(np.argwhere(given.any(axis=-1)), axis=0)
    if len(moments) > _MAX_MOMENTS and case.rows:
        del axes["step"]
    found = []
    for values in np.unique(moments[:, list(axes.values())], axis=0):
        index: list[Any] = [slice(None)] * given.ndim
        for axis, value in zip(axes.values(), values, strict=True):
            index[axis] = value
        kept = np.zeros_like(given)
        kept[tuple(index)] = True
        if _is_lost(subject, trial, _with_input(problem, np.where(given & ~kept, 0.0, problem.input))):
            found.append(" of ".join(f"{name} {value}" for name, value in zip(axes, values, strict=True)))
    return found


def _moments(places: Sequence[str]) -> str:
    if not places:
        return ", but not from that of a single step"
    more = f" and {len(places) - _MAX_LISTED} more" if len(places) > _MAX_LISTED else ""
    return f" at {', '.join(places[:_MAX_LISTED])}{more}"


def _scaled(problem: Problem) -> Iterator[tuple[str, Problem]]:
    """Yields each kind of input tensor, with the problem in which only the tensors of this kind are made small."""
    read = tensors_read(problem)
    for kind in dict.fromkeys(name.partition("_l")[0] for name in read):
        own = {name: array for name, array in read.items() if name.partition("_l")[0] == kind}
        yield kind, with_block(problem, {name: (array * _FACTOR).astype(array.dtype) for name, array in own.items()})

"""Place of the wrong elements of a solution: the layer, direction, gate, unit, row and step that they have in common.

An error spreads: from the step in which it occurs to all later steps, and from a layer to all layers above it. The
condition on an output is therefore that of the first wrong steps, in the order of processing, and the condition on a
final state is that of the lowest wrong layer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.error_ratio import elementwise_error_ratios
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.problem import source_of

_DIRECTIONS = ("forward", "reverse")
_GATES = ("input", "forget", "candidate", "output")
_GATES_OF_PEEPHOLES = ("input", "forget", "output")
_MIN_SHARE = 0.9
"""Smallest share of wrong elements among those that meet a condition."""
_MIN_ELEMENTS = 3
"""Smallest number of elements that meet a condition. Any single element meets one."""
_MAX_LISTED = 3
"""Number of values of an axis that are listed."""

Mask = NDArray[np.bool_]
Coordinates = dict[str, NDArray[Any]]
"""For each axis, the coordinate of each element of a tensor."""


def where(judged: JudgedSolution) -> str:
    """Describes which elements are wrong, such as ``output and h_n in unit 2``; empty if there is no condition.

    Gradients are described if all results are right.
    """
    found: dict[str, list[str]] = {}
    for kind, names in _wrong_kinds(judged).items():
        if place := _place(judged, kind, names):
            found.setdefault(place, []).append(kind)
    return "; ".join(f"{_join(kinds)} in {place}" for place, kinds in found.items())


def wrong_elements(name: str, judged: JudgedSolution) -> Mask:
    """Returns which elements of a tensor deviate by more than their budget."""
    deviation = np.abs(np.asarray(judged.solution[name], np.float64) - judged.expectation.values[name])
    return elementwise_error_ratios(deviation, judged.expectation.budget[name]) > 1


def comparable_tensors(judged: JudgedSolution) -> list[str]:
    """Returns the names of the tensors that are present with the right shape, in the order of comparison."""
    return [
        name
        for name, shape in judged.problem.expected_shapes().items()
        if name in judged.solution and np.shape(judged.solution[name]) == shape
    ]


def _wrong_kinds(judged: JudgedSolution) -> dict[str, list[str]]:
    """Returns the tensors of each kind with wrong elements. Leaves out derivatives if results are wrong.

    A kind is the name without layer and direction.
    """
    kinds: dict[str, list[str]] = {}
    wrong = set()
    for name in comparable_tensors(judged):
        kind = name.partition("_l")[0]
        kinds.setdefault(kind, []).append(name)
        if wrong_elements(name, judged).any():
            wrong.add(kind)
    results = [kind for kind in kinds if kind in wrong and "." not in kind]
    return {kind: kinds[kind] for kind in results or [kind for kind in kinds if kind in wrong]}


def _place(judged: JudgedSolution, kind: str, names: Sequence[str]) -> str:
    """Describes the wrong elements of a kind of tensors."""
    case = judged.problem.case
    parts = [(wrong_elements(name, judged), _coordinates(case, name)) for name in names]
    wrong = np.concatenate([part.ravel() for part, _ in parts])
    coordinates = {axis: np.concatenate([own[axis].ravel() for _, own in parts]) for axis in parts[0][1]}
    considered, start, layers = np.ones_like(wrong), "", ""
    if kind == "output" and (first := _first_steps(judged, wrong, coordinates)):
        considered, start = first
        coordinates.pop("step")
    elif kind in ("h_n", "c_n"):
        layer = coordinates.pop("layer")
        considered = layer == layer[wrong].min()
        layers = _describe_values("layer", np.unique(layer[wrong]), np.unique(layer), kind)
    terms = list(_terms(judged, kind, wrong & considered, coordinates))
    words = [word for word in (layers, *(word for word, _ in terms), start) if word]
    chosen = considered & np.logical_and.reduce([met for _, met in terms], axis=0) if terms else considered
    is_condition = chosen.sum() >= _MIN_ELEMENTS and wrong[chosen].mean() >= _MIN_SHARE
    return ", ".join(words) if is_condition else ""


def _first_steps(judged: JudgedSolution, wrong: Mask, coordinates: Coordinates) -> tuple[Mask, str] | None:
    """Returns the elements of the first wrong step of each row and direction, if the error spreads to later steps.

    Returns:
        These elements, and a description of the step if it is the same everywhere and not the first one. None if the
        error does not spread.
    """
    steps = judged.problem.case.seq_len
    step, row, direction = (coordinates[axis] for axis in ("step", "row", "direction"))
    processed = np.where(direction > 0, steps - 1 - step, step)
    is_wrong = np.zeros((steps, int(row.max()) + 1, 2), bool)
    np.logical_or.at(is_wrong, (processed, row, direction), wrong)
    valid = np.ones_like(is_wrong)
    if judged.problem.mask is not None:
        valid[..., 0], valid[..., 1] = judged.problem.mask, judged.problem.mask[::-1]
    onset = np.where(is_wrong.any(0), is_wrong.argmax(0), steps)
    later = (np.arange(steps)[:, None, None] > onset) & valid
    if not later.any() or is_wrong[later].mean() < _MIN_SHARE:
        return None
    first = onset[onset < steps]
    words = ""
    if first[0] > 0 and (first == first[0]).all():
        words = f"steps from {first[0]} on" + (" in the order of processing" if (onset[:, 1] < steps).any() else "")
    return processed == onset[row, direction], words


def _terms(judged: JudgedSolution, kind: str, wrong: Mask, coordinates: Coordinates) -> Iterator[tuple[str, Mask]]:
    """Yields the narrowest term on each axis that all wrong elements meet, in words and as a mask."""
    if not wrong.any():
        return
    case, mask = judged.problem.case, judged.problem.mask
    if mask is not None and "step" in coordinates:
        yield from _terms_of_rows(mask, wrong, coordinates)
    for axis, values in coordinates.items():
        if axis == "direction":
            every = np.array([_DIRECTIONS.index("reverse" if suffix else "forward") for suffix in case.model.suffixes])
        else:
            every = np.unique(values)
        some = np.unique(values[wrong])
        if words := _describe_values(axis, some, every, kind):
            yield words, np.isin(values, some)


def _terms_of_rows(mask: Mask, wrong: Mask, coordinates: Coordinates) -> Iterator[tuple[str, Mask]]:
    """Yields a term on the position of a step in its row, which has a length of its own."""
    steps = np.arange(len(mask))[:, None]
    last = np.where(mask, steps, -1).max(0)
    places = {
        "the padding": ~mask,
        "the last step of each row": steps == last,
    }
    for words, place in places.items():
        met = place[coordinates["step"], coordinates["row"]]
        if (met[wrong]).all():
            yield words, met
            return


def _describe_values(axis: str, some: NDArray[Any], every: NDArray[Any], kind: str) -> str:
    """Describes some values of an axis; empty if they are all values, or too many to describe."""
    if len(some) == len(every):
        return ""
    if axis == "direction":
        return f"the {_DIRECTIONS[int(some[0])]} direction"
    if axis == "gate":
        names = _GATES_OF_PEEPHOLES if kind.endswith("peephole") else _GATES
        listed = [names[int(gate)] for gate in some]
        return f"the {_join(listed)} gate{'s' if len(listed) > 1 else ''}"
    if len(some) == 1:
        last = axis == "step" and some[0] == every[-1]
        return f"the last {axis}" if last else f"{axis} {some[0]}"
    plural = f"{axis}s"
    if np.array_equal(some, every[-len(some) :]):
        return f"{plural} from {some[0]} on"
    if np.array_equal(some, every[: len(some)]):
        return f"{plural} up to {some[-1]}"
    stride = np.unique(np.diff(some))
    if len(some) >= _MAX_LISTED and stride.tolist() == [1]:
        return f"{plural} {some[0]} to {some[-1]}"
    if len(some) > _MAX_LISTED and len(stride) == 1:
        return f"{plural} {', '.join(map(str, some[:_MAX_LISTED]))}, …"
    if len(some) <= _MAX_LISTED:
        return f"{plural} {_join([str(value) for value in some])}"
    return ""


def _coordinates(case: Case, name: str) -> Coordinates:
    """Returns the coordinates of each element of a tensor."""
    model, bare = case.model, source_of(name)
    directions = [int(bool(suffix)) for suffix in model.suffixes]
    if bare in ("output", "input"):
        steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
        width = model.output_size() if bare == "output" else case.input_size
        shape = (*(steps[::-1] if case.batch_first else steps), width)
        *moments, column = np.indices(shape)
        if len(moments) == 1:
            moments.append(np.zeros_like(column))
        step, row = moments[::-1] if case.batch_first and case.rows else moments
        if bare == "input":
            return {"step": step, "row": row, "feature": column}
        if model.direction == "reverse":
            return {"step": step, "row": row, "direction": np.ones_like(column), "unit": column}
        starts = np.array([part.start for part in model.output_parts()])
        direction = np.searchsorted(starts, column, side="right") - 1
        return {"step": step, "row": row, "direction": direction, "unit": column - starts[direction]}
    if bare[:3] in ("h_n", "c_n", "h_0", "c_0"):
        shapes = model.state_shapes(bare[:3], case.rows)  # type: ignore[arg-type]
        place, *row, unit = np.indices(shapes[bare])
        layer, direction = np.array(model.state_places[bare[3:]]).T[:, place]
        direction = np.array(directions)[direction]
        return {"layer": layer, "direction": direction, "row": row[0] if row else np.zeros_like(unit), "unit": unit}
    layer = _layer(bare)
    shape = model.parameter_shapes()[bare]
    first, *columns = np.indices(shape)
    fixed = {
        "layer": np.full(shape, layer),
        "direction": np.full(shape, int(bare.endswith("_reverse"))),
    }
    if bare.startswith("weight_hr"):
        return {**fixed, "projected unit": first, "unit": columns[0]}
    hidden = model.hidden_size_of(bare)
    column = {"previous unit" if bare.startswith("weight_hh") else "input": columns[0]} if columns else {}
    return {**fixed, "gate": first // hidden, "unit": first % hidden, **column}


def _layer(bare: str) -> int:
    return int(bare.split("_l")[1].split("_")[0])


def _join(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last

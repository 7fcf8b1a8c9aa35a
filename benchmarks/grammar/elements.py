"""Linear maps between the elements of tensors, and their adjoints."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.grammar.mistake import DIRECTIONS, PARAMETERS, Change, Coordinates, Mistake
from conformance.cases.case import Case

Arrays = dict[str, Any]
Key = tuple[int, int]
"""Layer, and direction: 0 for forward and 1 for reverse."""

NOTHING = -1
"""Element number that reads as 0."""
FACTORS: Mapping[str, Any] = {
    "-1": lambda _: -1.0,
    "2": lambda _: 2.0,
    "1/2": lambda _: 0.5,
    "1/B": lambda case: 1 / (case.rows or 1),
    "1/T": lambda case: 1 / case.seq_len,
    "1/(T·B)": lambda case: 1 / (case.seq_len * (case.rows or 1)),
    "B": lambda case: float(case.rows or 1),
    "T": lambda case: float(case.seq_len),
    "1.01": lambda _: 1.01,
}
_PARTNERS = {"h_0": "c_0", "c_0": "h_0", "h_n": "c_n", "c_n": "h_n"}


def directions(case: Case) -> tuple[int, ...]:
    """Returns the directions of a case."""
    return tuple(DIRECTIONS.index("reverse" if suffix else "forward") for suffix in case.model.suffixes)


def planes(kind: str, tensors: Mapping[str, Any], case: Case) -> dict[Key, Any]:
    """Returns views of the tensors of a kind, one for each layer and direction.

    Their axes are (gate, unit, column) for parameters, (row, unit) for states and (step, row, unit) for sequences.
    """
    hidden, model = case.hidden_sizes[0], case.model
    numbered = list(zip(directions(case), model.suffixes, strict=True))
    if kind in PARAMETERS:
        found = {(k, d): tensors.get(f"{kind}_l{k}{suffix}") for k in range(case.num_layers) for d, suffix in numbered}
        return {key: array.reshape(4, hidden, -1) for key, array in found.items() if array is not None}
    if kind not in tensors:
        return {}
    array = tensors[kind]
    if kind == "input":
        return {(0, directions(case)[0]): array}
    if kind == "output":
        last = case.num_layers - 1
        return {(last, d): array[..., i * hidden : (i + 1) * hidden] for i, (d, _) in enumerate(numbered)}
    return {(k, d): array[k * len(numbered) + i] for k in range(case.num_layers) for i, (d, _) in enumerate(numbered)}


def axes_of(kind: str) -> tuple[str, ...]:
    """Returns the axes of the planes of a kind."""
    if kind in PARAMETERS:
        return "gate", "unit", "column"
    return ("step", "row", "unit") if kind in ("input", "output") else ("row", "unit")


def coordinates(kind: str, key: Key, shape: tuple[int, ...]) -> Coordinates:
    """Returns the coordinates of the elements of a plane."""
    own = dict(zip(axes_of(kind), np.indices(shape), strict=True))
    # The input belongs to no layer and no direction, and the output to no layer.
    layer = {"layer": np.full(shape, key[0])} if kind not in ("input", "output") else {}
    return {**own, **layer, **({"direction": np.full(shape, key[1])} if kind != "input" else {})}


class LinearMap:
    """The linear map by which a mistake replaces elements of tensors.

    Each element becomes a sum of terms: a factor times another element.
    """

    def __init__(self, mistake: Mistake, tensors: Mapping[str, Any], case: Case) -> None:
        own: Arrays = {}
        first = 0
        for name, array in tensors.items():
            own[name] = np.arange(first, first + array.size).reshape(array.shape)
            first += array.size
        self._count = first
        self._numbers: list[Arrays] = [{name: array.copy() for name, array in own.items()}]
        self._factors: list[Arrays] = [{name: np.ones(array.shape) for name, array in own.items()}]
        for kind in mistake.kinds:
            every = planes(kind, own, case)
            for key, plane in every.items():
                mask = mistake.selects(coordinates(kind, key, plane.shape), case, plane.shape)
                self._replace(kind, key, mask, _terms(mistake.change, kind, key, own, case, mask), case)

    def _replace(self, kind: str, key: Key, mask: Any, terms: list[tuple[float, Any]], case: Case) -> None:
        while len(self._numbers) < len(terms):
            self._numbers.append({name: np.full_like(array, NOTHING) for name, array in self._numbers[0].items()})
            self._factors.append({name: np.ones(array.shape) for name, array in self._factors[0].items()})
        if not terms:
            planes(kind, self._numbers[0], case)[key][mask] = NOTHING
        for (factor, numbers), into, factors in zip(terms, self._numbers, self._factors, strict=False):
            planes(kind, into, case)[key][mask] = numbers[mask]
            planes(kind, factors, case)[key][mask] = factor

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        one = np.concatenate([array.ravel() for array in self._numbers[0].values()] or [np.arange(0)])
        ones = all((array == 1).all() for array in self._factors[0].values())
        return len(self._numbers) == 1 and ones and np.array_equal(one, np.arange(self._count))

    def forward(self, tensors: Mapping[str, Any]) -> Arrays:
        """Applies the map."""
        flat = np.concatenate([*(np.asarray(array, np.float64).ravel() for array in tensors.values()), [0.0]])
        terms = list(zip(self._factors, self._numbers, strict=True))
        return {name: sum(factors[name] * flat[numbers[name]] for factors, numbers in terms) for name in tensors}

    def backward(self, gradients: Mapping[str, Any]) -> Arrays:
        """Applies the adjoint of the map."""
        flat = np.zeros(self._count + 1)
        for factors, numbers in zip(self._factors, self._numbers, strict=True):
            for name, array in gradients.items():
                np.add.at(flat, numbers[name].ravel(), (factors[name] * array).ravel())
        results, first = {}, 0
        for name, array in gradients.items():
            results[name] = flat[first : first + array.size].reshape(array.shape)
            first += array.size
        return results


def _terms(change: Change, kind: str, key: Key, numbers: Arrays, case: Case, mask: Any) -> list[tuple[float, Any]]:
    """Returns the terms that take the place of a plane. A change that is impossible there returns the plane itself."""
    every = planes(kind, numbers, case)
    own, verb = every[key], change.verb
    if verb == "zero":
        return []
    if verb == "times":
        return [(FACTORS[change.value](case) if change.value in FACTORS else float(change.value), own)]
    if verb in ("kind", "plus"):
        other = planes(change.value or _PARTNERS[kind], numbers, case).get(key)
        if other is None or other.shape != own.shape:
            return [(1.0, own)]
        return [(1.0, other)] if verb == "kind" else [(1.0, own), (1.0, other)]
    if verb == "sum":
        other = every.get((key[0], 1 - key[1]))
        return [(1.0, own)] if other is None or other.shape != own.shape else [(1.0, own), (1.0, other)]
    if verb == "step-of-output":
        return [(1.0, planes("output", numbers, case).get(key, [own, own])[change.value])]
    if verb == "transpose":
        return [(1.0, own.swapaxes(1, 2) if own.shape[1] == own.shape[2] else own)]
    if verb == "reshape":
        if own.ndim == 3:
            return [(1.0, own.swapaxes(0, 1).reshape(own.shape))]
        whole = numbers[kind]
        return [(1.0, planes(kind, {kind: whole.swapaxes(0, 1).reshape(whole.shape)}, case)[key])]
    if verb == "directions-first":
        place = key[0] * 2 + key[1]
        swapped = (place % case.num_layers, place // case.num_layers)
        return [(1.0, every.get(swapped, own) if case.model.num_directions == 2 else own)]
    if verb == "blocks":
        return [(1.0, _block(source, numbers, case, mask)) for source in change.value]
    return [(1.0, _moved(change, kind, key, every, case))]


def _moved(change: Change, kind: str, key: Key, every: Mapping[Key, Any], case: Case) -> Any:
    """Returns a plane whose elements are taken from other places along one axis."""
    own = every[key]
    if change.axis in ("layer", "direction"):
        size = case.num_layers if change.axis == "layer" else 2
        at = 0 if change.axis == "layer" else 1
        source = _sources(change, size)[key[at]]
        other = every.get((source, key[1]) if at == 0 else (key[0], source)) if source != NOTHING else None
        return own if other is None or other.shape != own.shape else other
    if change.axis not in axes_of(kind):
        return own
    axis = axes_of(kind).index(change.axis)
    order = _sources(change, own.shape[axis])
    if max(order) >= own.shape[axis]:
        return own
    taken = np.take(own, np.maximum(order, 0), axis)
    missing = np.array(order) == NOTHING
    return np.where(missing.reshape([-1 if i == axis else 1 for i in range(own.ndim)]), NOTHING, taken)


def _sources(change: Change, size: int) -> list[int]:
    """Returns for each coordinate the one that takes its place."""
    value = change.value
    if change.verb == "reverse":
        return list(range(size))[::-1]
    if change.verb == "shift":
        return [(i + value) % size for i in range(size)]
    if change.verb == "delay":
        return [i + value if 0 <= i + value < size else NOTHING for i in range(size)]
    if change.verb == "only":
        return [value % size if value < 0 else value] * size
    if change.verb == "order":
        return list(value) if len(value) == size else list(range(size))
    raise ValueError(change.verb)


def _block(source: tuple[str, Mapping[str, int]], numbers: Arrays, case: Case, mask: Any) -> Any:
    """Returns a plane with the elements of one block in the place of the selected ones."""
    kind, at = source
    layer = at.get("layer", case.num_layers - 1 if kind == "output" else 0)
    plane = planes(kind, numbers, case)[layer, at.get("direction", directions(case)[0])]
    place = tuple(at.get(axis, slice(None)) for axis in axes_of(kind))
    result = np.full(mask.shape, NOTHING)
    result[mask] = plane[place].ravel()
    return result

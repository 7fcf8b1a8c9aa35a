"""Finding the LSTMs of a checkpoint by the names and shapes of its tensors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from conformance.conversion.framework import Framework, Tensors
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array, Lstm, reverse
from conformance.errors import UserError


def recognize(
    tensors: Tensors, among: Sequence[Framework] = tuple(FRAMEWORKS.values())
) -> tuple[Framework, list[Lstm]]:
    """Returns the framework whose names the tensors have, and its LSTMs.

    Args:
        tensors: arrays by name.
        among: frameworks to consider, most likely first.

    Raises:
        UserError: no framework fits, or several fit and disagree.
    """
    fitting: list[tuple[Framework, list[Lstm]]] = []
    errors: list[UserError] = []
    for framework in among:
        try:
            if lstms := framework.find(tensors):
                fitting.append((framework, lstms))
        except UserError as error:
            errors.append(error)
    if not fitting:
        raise errors[0] if errors else UserError(_nothing(tensors))
    first, lstms = fitting[0]
    others = [other.name for other, found in fitting[1:] if not _agree(lstms, found)]
    if others:
        raise UserError(
            f"{lstms[0].tensors[0]}: names and shapes fit {first.name}, {', '.join(others)}, which read them "
            f"differently. Name the framework: `--from {first.name}`"
        )
    return first, lstms


def find(tensors: Tensors, framework: Framework) -> list[Lstm]:
    """Returns the LSTMs of a framework by names and shapes, or else by shapes alone.

    Raises:
        UserError: there are none.
    """
    lstms = framework.find(tensors, sure=True) or _find_by_shape(tensors, framework)
    if not lstms:
        raise UserError(f"no tensors of an LSTM in the layout of {framework.name}: {_listing(tensors)}")
    return lstms


def select(lstms: Sequence[Lstm], patterns: Sequence[str]) -> list[Lstm]:
    """Returns the LSTMs whose names match, in the order of the patterns; all without patterns.

    Args:
        lstms: LSTMs to select from.
        patterns: names, in which ``*`` matches any text.

    Raises:
        UserError: a pattern matches nothing.
    """
    chosen: dict[str, Lstm] = {} if patterns else {lstm.name: lstm for lstm in lstms}
    for pattern in patterns:
        matching = {lstm.name: lstm for lstm in lstms if fnmatchcase(lstm.name, pattern)}
        if not matching:
            names = ", ".join(lstm.name or "''" for lstm in lstms)
            raise UserError(f"--layer {pattern!r} matches none of the LSTMs found: {names}")
        chosen |= matching
    return list(chosen.values())


def flatten(tree: Mapping[str, Any], separator: str = "/") -> dict[str, Array]:
    """Returns the arrays of nested mappings and sequences by joined names. Other values are left out."""
    arrays: dict[str, Array] = {}
    for key, value in tree.items():
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            value = {str(position): entry for position, entry in enumerate(value)}
        if isinstance(value, Mapping):
            arrays |= {f"{key}{separator}{name}": array for name, array in flatten(value, separator).items()}
        elif hasattr(value, "__array__"):
            arrays[str(key)] = np.asarray(value)
    return arrays


def nest(values: Mapping[str, Any], separator: str = "/") -> dict[str, Any]:
    """Returns nested dictionaries for joined names. The inverse of ``flatten``."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *parents, leaf = name.split(separator)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _agree(first: Sequence[Lstm], second: Sequence[Lstm]) -> bool:
    """Returns whether two readings of a checkpoint find the same parameters."""
    one, other = ({lstm.name: lstm for lstm in lstms} for lstms in (first, second))
    return one.keys() == other.keys() and all(one[name].equals(other[name]) for name in one)


def _find_by_shape(tensors: Tensors, framework: Framework) -> list[Lstm]:
    """Returns the LSTMs whose tensors have the shapes of a framework's layout, whatever their names.

    The tensors of a layer have the same name up to the last separator.
    """
    layout = framework.layout
    lstms = []
    for name, members in _siblings(tensors).items():
        weights = [member for member in members if tensors[member].ndim == 2]
        biases = [member for member in members if tensors[member].ndim == 1]
        gates, features = (1, 0) if layout.transposed else (0, 1)
        rows = {tensors[member].shape[gates] for member in weights} | {len(tensors[member]) for member in biases}
        if len(rows) != 1 or (size := rows.pop()) % 4 or "{gate}" in layout.weight_ih:
            continue
        if layout.weight_ih == layout.weight_hh:
            roles = {layout.weight_ih: weights, layout.bias_ih: biases}
        else:
            recurrent = [member for member in weights if tensors[member].shape[features] == size // 4]
            if len(weights) == 2 == len(recurrent):
                raise UserError(
                    f"{name or 'the LSTM'}: {weights[0]} and {weights[1]} have the same shape, because I = H. Shapes "
                    f"do not say which are the recurrent weights: name them {layout.weight_ih} and {layout.weight_hh}"
                )
            inputs = [member for member in weights if member not in recurrent]
            roles = {layout.weight_ih: inputs, layout.weight_hh: recurrent}
            if biases:
                if layout.biases == "separate":
                    raise UserError(
                        f"{name or 'the LSTM'}: shapes do not say which of {', '.join(biases)} is the recurrent bias: "
                        f"name them {layout.bias_ih} and {layout.bias_hh}"
                    )
                roles[layout.bias_ih] = biases
        if any(len(fitting) != 1 for fitting in roles.values()):
            continue
        arrays = {role: tensors[fitting[0]] for role, fitting in roles.items()}
        own = {f"{role}_l0": array for role, array in framework.unpack(name, arrays).items()}
        lstms += [framework.found(name, own, members)] if own else []
    return lstms


def _siblings(tensors: Tensors) -> dict[str, list[str]]:
    """Groups names by their text before the last separator."""
    groups: dict[str, list[str]] = {}
    for name in tensors:
        groups.setdefault(re.sub(r"[./]?[^./]*$", "", name), []).append(name)
    return groups


def _nothing(tensors: Tensors) -> str:
    """Explains why no LSTM was found, and names tensors whose shapes could be those of one."""
    for members in _siblings(tensors).values():
        shapes = [tensors[member].shape for member in members]
        weights = [shape for shape in shapes if len(shape) == 2]
        rows = {max(shape) for shape in weights}
        if len(weights) not in (1, 2) or len(rows) != 1 or (size := rows.pop()) % 4 or (size,) not in shapes:
            continue
        alike = len(weights) == 2 and weights[0] == weights[1]
        also = ", nor which weights are the recurrent ones, because I = H" if alike else ""
        return (
            f"{', '.join(members)} could be an LSTM with H = {size // 4}, but no known framework uses these names. "
            f"Shapes do not say in which order the gates are stored{also}. Name the framework that stores them in the "
            "same way, such as `--from keras`"
        )
    return f"no LSTM found: {_listing(tensors)}"


def _listing(tensors: Tensors, most: int = 6) -> str:
    """Lists the first tensors with their shapes."""
    first = ", ".join(f"{name} {array.shape}" for name, array in list(tensors.items())[:most])
    more = f" and {len(tensors) - most} more" if len(tensors) > most else ""
    return f"the checkpoint contains {first}{more}" if tensors else "the checkpoint contains no tensors"


def with_options(lstms: Sequence[Lstm], options: Mapping[str, Mapping[str, Any]]) -> list[Lstm]:
    """Returns LSTMs with the options that a file records.

    Args:
        lstms: LSTMs of the file.
        options: see ``Contents.options``.

    Raises:
        UserError: the file records options that are not the defaults for none of the LSTMs.
    """
    unused = {name for name, own in options.items() if own}
    results = []
    for lstm in lstms:
        key = lstm.name if lstm.name in options else re.split(r"[./]", lstm.name)[-1]
        unused.discard(key)
        own = dict(options.get(key, {}))
        turned = reverse(lstm) if own.pop("direction", "") == "reverse" else lstm
        results.append(replace(turned, options={**lstm.options, **own}))
    if unused:
        name = min(unused)
        given = ", ".join(f"{option}: {value}" for option, value in options[name].items())
        raise UserError(f"the file records options of {name} ({given}), but has no weights of an LSTM with this name")
    return results

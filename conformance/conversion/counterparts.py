"""Properties of an LSTM that a target cannot store or compute in the same way."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from conformance.adapters import Adapter, registry
from conformance.cases.features import features
from conformance.conversion.framework import Framework
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError


def adapt(lstm: Lstm, target: Framework) -> tuple[Lstm, list[str]]:
    """Returns an LSTM that computes the same and that the target can store, and notes on what changed.

    A forget bias that is added at run time moves into the biases. Biases that the target always has are zero.

    Raises:
        UserError: the target has no exact counterpart.
    """
    where, notes = lstm.label, []
    adapter = registry.load(target.implementations[0])
    parameters = dict(lstm.parameters)
    if not lstm.model.bias and ("no bias" not in adapter.features or lstm.options.get("forget_bias")):
        parameters |= _zero_biases(lstm)
        notes.append(f"{where}{target.layer} always has biases, the LSTM has none: they are zero")
    options = dict(lstm.options)
    if (forget_bias := options.get("forget_bias")) and forget_bias != target.forget_bias:
        del options["forget_bias"]
        parameters |= _raised(parameters, forget_bias)
        notes.append(f"{where}the forget bias {forget_bias:g} that is added at run time is now part of the bias")
    adapted = replace(lstm, parameters=parameters, options=options)
    if reason := _refusal(adapter, adapted):
        raise UserError(f"{where}has no exact counterpart in {target.layer}: {reason}")
    if given := ", ".join(f"{name} {_words(value)}" for name, value in options.items() if name != "forget_bias"):
        notes.append(f"{where}options of the layer, which only .onnx, .keras and .xml files record: {given}")
    if adapted.model.bias and target.layout.biases == "separate" and not any(map(np.any, _recurrent(adapted).values())):
        notes.append(f"{where}{target.layer} has two biases: bias_ih holds the bias, and bias_hh is zero")
    if not target.stacks and lstm.model.num_layers > 1:
        notes.append(f"{where}{target.layer} is a single layer: each layer has a name of its own")
    return adapted, notes


def change_of_bias(before: Lstm, after: Lstm) -> float:
    """Returns the largest change of the sum of a gate's biases. All other parameters are equal.

    Raises:
        AssertionError: another parameter differs.
    """
    largest = 0.0
    for end in _ends(before):
        for role in ("weight_ih", "weight_hh", "weight_hr", "peephole"):
            name = f"{role}{end}"
            if name in before.parameters and not np.array_equal(before.parameters[name], after.parameters[name]):
                raise AssertionError(f"{name} changed")
        if f"bias_ih{end}" in before.parameters:
            largest = max(largest, float(np.abs(_total(before, end) - _total(after, end)).max()))
    return largest


def _total(lstm: Lstm, end: str) -> Array:
    """Returns what is added to the products of each gate, in a wider dtype."""
    first, second = (lstm.parameters[f"{role}{end}"].astype(np.float64) for role in ("bias_ih", "bias_hh"))
    total = first.astype(np.longdouble) + second
    hidden = len(total) // 4
    total[hidden : 2 * hidden] += lstm.options.get("forget_bias", 0.0)
    return total


def _refusal(adapter: Adapter, lstm: Lstm) -> str | None:
    """Returns why an implementation cannot run an LSTM, apart from its dtype; None if it can."""
    case = lstm.outline()
    # Declared features suffice without the framework, except for activations, of which most frameworks have some.
    if (reason := Adapter.supports(adapter, case)) or "activations" not in features(case):
        return reason
    try:
        return adapter.supports(case)
    except ImportError:  # The adapter tries activations, but the framework is not installed.
        return None


def _zero_biases(lstm: Lstm) -> dict[str, Array]:
    weights = {name: array for name, array in lstm.parameters.items() if name.startswith("weight_hh")}
    return {
        name.replace("weight_hh", bias): np.zeros(len(array), array.dtype)
        for name, array in weights.items()
        for bias in ("bias_ih", "bias_hh")
    }


def _raised(parameters: Mapping[str, Array], forget_bias: float) -> dict[str, Array]:
    """Returns the input biases with a number added to those of the forget gate."""
    raised = {name: array.copy() for name, array in parameters.items() if name.startswith("bias_ih")}
    for array in raised.values():
        hidden = len(array) // 4
        array[hidden : 2 * hidden] += array.dtype.type(forget_bias)
    return raised


def _recurrent(lstm: Lstm) -> dict[str, Array]:
    return {name: array for name, array in lstm.parameters.items() if name.startswith("bias_hh")}


def _ends(lstm: Lstm) -> list[str]:
    return [f"_l{layer}{suffix}" for layer in range(lstm.model.num_layers) for suffix in lstm.model.suffixes]


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

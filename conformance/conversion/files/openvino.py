"""``.xml`` and ``.bin``: the LSTMs of an OpenVINO model."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.onnx.common import NAMES, split_constants
from conformance.conversion.files.contents import Contents, library, only, parsing, without_bfloat16
from conformance.conversion.files.onnx import options_of_node
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError
from reference.activations import ACTIVATIONS

_WEIGHTS = {"LSTMSequence": 4, "LSTMCell": 3}
"""Position of W among the inputs of each operator. R and B follow."""
_INSTALL = "pip install 'lstm-conformance[openvino]'"


def read(path: Path) -> Contents:
    """Reads W, R and B of each LSTMSequence and LSTMCell, also in loops, named after the operator: ``encoder/W``.

    Raises:
        UserError: the model is invalid, weights are computed at run time, or an option is not known.
    """
    openvino = library("openvino", "reading OpenVINO models", _INSTALL)
    tensors: dict[str, Array] = {}
    options: dict[str, Mapping[str, Any]] = {}
    with parsing("OpenVINO"):
        for operator, inputs in _operators(openvino.Core().read_model(path)):
            name, given = operator.get_friendly_name(), operator.get_attributes()
            name = f"{name}_{len(options)}" if name in options else name
            if given.get("weights_format", "fico") != "fico":
                raise UserError(f"{name}: weights_format is {given['weights_format']}, expected fico")
            start = _WEIGHTS[operator.get_type_name()]
            if operator.get_input_size() > start + len("WRB"):
                raise UserError(f"{name} has peepholes, as operators of opset 1 can. They are not read")
            for position, array in enumerate("WRB", start):
                value = _constant(f"{name}/{array}", operator.input_value(position), inputs)
                tensors[f"{name}/{array}"] = value if start == _WEIGHTS["LSTMSequence"] else value[None]
            for key in ("alpha", "beta"):
                given[f"activation_{key}"] = given.get(f"activations_{key}", ())
            names = [text.encode() for text in given.get("activations", ())]
            direction = given.get("direction", "forward").encode()
            options[name] = options_of_node(name, {**given, "activations": names, "direction": direction})
        if not options:
            raise UserError("the model has no LSTMSequence and no LSTMCell")
    return Contents(tensors, options)


def write(lstms: Sequence[Lstm], path: Path) -> None:
    """Writes a model with one LSTMSequence per layer, for inputs (batch, time, features) of any batch and length.

    Its initial states are zero. Its outputs are ``output``, and h_n and c_n (batch, directions, H) of each layer.

    Raises:
        UserError: there are several LSTMs, or the weights are bfloat16.
    """
    openvino = library("openvino", "writing OpenVINO models", _INSTALL)
    ops = library("openvino.opset5", "writing OpenVINO models", _INSTALL)
    lstm = only(lstms)
    weights = without_bfloat16(FRAMEWORKS["openvino"].pack(lstm), "OpenVINO")
    used = [ACTIVATIONS[name] for name in lstm.options.get("activations", ("sigmoid", "tanh", "tanh"))]
    activations = ([NAMES[each.name].lower() for each in used], *split_constants(used), lstm.options.get("clip") or 0.0)
    model, dtype = lstm.model, np.dtype(lstm.dtype)

    def vector(*values: int) -> Any:
        return ops.constant(np.array(values, np.int64))

    sequence = given = ops.parameter([-1, -1, model.input_size], dtype, "input")
    rows, steps = (ops.gather(ops.shape_of(given), vector(axis), vector(0)) for axis in (0, 1))
    lengths = ops.convert(ops.broadcast(steps, rows), "i32")
    outputs: dict[str, Any] = {}
    for layer, hidden in enumerate(model.hidden_sizes):
        name = FRAMEWORKS["openvino"].unit(lstm, layer)
        zeros = ops.broadcast(ops.constant(dtype.type(0)), ops.concat([rows, vector(model.num_directions, hidden)], 0))
        constants = [ops.constant(weights[f"{name}/{array}"]) for array in "WRB"]
        node = ops.lstm_sequence(
            sequence, zeros, zeros, lengths, *constants, hidden, model.direction, *activations, name=name
        )
        sequence = ops.reshape(ops.transpose(node.output(0), vector(0, 2, 1, 3)), vector(0, 0, -1), special_zero=True)
        outputs |= {f"h_n_l{layer}": node.output(1), f"c_n_l{layer}": node.output(2)}
    outputs = {"output": sequence.output(0), **outputs}
    for name, output in {"input": given.output(0), **outputs}.items():
        output.get_tensor().set_names({name})
    openvino.serialize(openvino.Model(list(outputs.values()), [given], "lstm"), path, path.with_suffix(".bin"))


def _operators(model: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Yields the LSTMs of a model and of the models within its operators, each with the inputs of its model."""
    for operator in model.get_ordered_ops():
        if operator.get_type_name() in _WEIGHTS:
            yield operator, model.get_parameters()
        elif operator.get_type_name() in ("TensorIterator", "Loop"):
            yield from _operators(operator.get_function())


def _constant(name: str, output: Any, inputs: list[Any]) -> Array:
    """Returns the value of an output that does not depend on the model's inputs.

    Raises:
        UserError: it does.
    """
    import openvino
    from openvino import passes

    node = output.get_node()
    if node.get_type_name() == "Convert":  # Weights that are stored as float16.
        stored = _constant(name, node.input_value(0), inputs)
        return stored.astype(node.get_output_element_type(0).to_dtype())
    if node.get_type_name() != "Constant":
        model = openvino.Model([output], inputs)
        manager = passes.Manager()
        manager.register_pass(passes.ConstantFolding())
        manager.run_passes(model)
        node = model.get_results()[0].input_value(0).get_node()
    if node.get_type_name() != "Constant":
        raise UserError(f"{name} is computed from the model's input, so it is not a weight")
    return np.array(node.data)

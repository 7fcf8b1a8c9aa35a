"""``.onnx``: the LSTM nodes of a model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapters.onnx.common import NAMES, build_model
from conformance.conversion.files.contents import Contents, library, only, parsing
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError
from conformance.verdict.problem import Problem
from reference.activations import ACTIVATIONS

_INPUTS = {"W": 1, "R": 2, "B": 3, "P": 7}
_DEFAULTS = {"HardSigmoid": (0.2, 0.5), "LeakyRelu": (0.01,), "Elu": (1.0,)}
"""Constants of activations that ONNX defines defaults for."""


def read(data: bytes) -> Contents:
    """Reads W, R, B and P of each LSTM node, also in branches and loops, named after the node: ``encoder/W``.

    Raises:
        UserError: the file is invalid, weights are computed at run time or stored in other files, or an activation is
            not known.
    """
    onnx = library("onnx", "reading .onnx files")
    tensors: dict[str, Array] = {}
    options: dict[str, Mapping[str, Any]] = {}
    with parsing("ONNX"):
        for number, (node, constants) in enumerate(_nodes(onnx, onnx.load_model_from_string(data).graph)):
            name = node.name or f"LSTM_{number}"
            name = f"{name}_{number}" if name in options else name
            for array, position in _INPUTS.items():
                if position < len(node.input) and node.input[position]:
                    tensors[f"{name}/{array}"] = constants.value(node.input[position])
            given = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
            options[name] = options_of_node(name, given)
        if not options:
            raise UserError("the model has no LSTM node")
    return Contents(tensors, options)


def write(lstms: Sequence[Lstm]) -> bytes:
    """Writes a model with one LSTM node per layer, for inputs (time, batch, features) of any length and batch.

    Raises:
        UserError: there are several LSTMs.
    """
    onnx = library("onnx", "writing .onnx files")
    lstm = only(lstms)
    case = lstm.case().model_copy(update={"initial_state": "omitted"})
    x = np.zeros((case.seq_len, 3, case.input_size), next(iter(lstm.parameters.values())).dtype)
    model = build_model(Problem(case, lstm.parameters, x, None, None, None, {}, {}))
    for value in (*model.graph.input, *model.graph.output):
        axes = ("time", "batch") if value.name in ("input", "output") else ("", "batch")
        for axis, dimension in zip(axes, value.type.tensor_type.shape.dim, strict=False):
            if axis:
                dimension.dim_param = axis
    nodes = [node for node in model.graph.node if node.op_type == "LSTM"]
    for layer, node in enumerate(nodes):
        node.name = FRAMEWORKS["onnx"].unit(lstm, layer)
    onnx.checker.check_model(model)
    serialized = model.SerializeToString()
    assert isinstance(serialized, bytes)
    return serialized


def _nodes(onnx: Any, graph: Any, outer: "_Constants | None" = None) -> Iterator[tuple[Any, "_Constants"]]:
    """Yields the LSTM nodes of a graph and of the graphs within it, each with the constants that it can refer to."""
    constants = _Constants(onnx, graph, outer)
    for node in graph.node:
        if node.op_type == "LSTM":
            yield node, constants
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(onnx, attribute.g, constants)


class _Constants:
    """The values of a graph that do not depend on its inputs."""

    def __init__(self, onnx: Any, graph: Any, outer: "_Constants | None") -> None:
        self._onnx = onnx
        self._outer = outer
        self._initializers = {entry.name: entry for entry in graph.initializer}
        self._producers = {output: node for node in graph.node for output in node.output}

    def value(self, name: str) -> Array:
        """Returns a value: an initializer, or what nodes compute from initializers, as some exporters write weights."""
        if name in self._initializers:
            entry = self._initializers[name]
            if entry.data_location == self._onnx.TensorProto.EXTERNAL:
                raise UserError(f"{name} is stored in another file. Save the model as one file first")
            return np.asarray(self._onnx.numpy_helper.to_array(entry))
        if name not in self._producers and self._outer:
            return self._outer.value(name)
        if name not in self._producers:
            raise UserError(f"{name} is computed from the model's input, so it is not a weight")
        from onnx.reference import ReferenceEvaluator

        node = self._producers[name]
        feeds = {given: self.value(given) for given in node.input if given}
        return np.asarray(ReferenceEvaluator(node).run(None, feeds)[list(node.output).index(name)])


def options_of_node(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a node that are not the defaults, see ``Contents.options``."""
    options: dict[str, Any] = {}
    if given.get("direction") == b"reverse":
        options["direction"] = "reverse"
    if given.get("clip"):
        options["clip"] = given["clip"]
    if given.get("input_forget"):
        options["coupled_gates"] = True
    names = [text.decode() for text in given.get("activations", [])]
    alphas, betas = (iter(given.get(f"activation_{constant}", ())) for constant in ("alpha", "beta"))
    used = tuple(_activation(name, own, alphas, betas) for own in names)
    used = used[:3] if used[:3] == used[3:] else used
    if used and used != ("sigmoid", "tanh", "tanh"):
        options["activations"] = used
    return options


def _activation(name: str, own: str, alphas: Any, betas: Any) -> str:
    """Returns the suite's name of an activation with its constants, which follow in the order of the activations."""
    possible = [known for known, called in NAMES.items() if called.lower() == own.lower()]
    places = len(ACTIVATIONS[possible[0]].constants) if possible else 0
    defaults = (*_DEFAULTS.get(own, ()), np.nan, np.nan)
    constants = [
        next(values, default) for values, default in list(zip((alphas, betas), defaults, strict=False))[:places]
    ]
    for known in possible:
        if np.allclose(ACTIVATIONS[known].constants, constants, rtol=1e-6):
            return known
    raise UserError(f"{name}: the activation {own} with the constants {constants} cannot be converted")

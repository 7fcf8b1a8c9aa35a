"""ONNX graphs of two calls: two copies of a graph, and the nodes that connect them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.cases.uses import first_part

_BEFORE_FIRST = -(2**62)
"""Index before the first element of any axis, where a Slice with a step of -1 ends."""


def connect(case: Case, whole: Any, first: Any, second: Any, batchwise: bool) -> Any:
    """Returns an ``onnx.GraphProto`` of two calls, connected as a case requires.

    Args:
        case: the case.
        whole: graph of a single call, which has the inputs and outputs.
        first: graph of the first call.
        second: graph of the second call.
        batchwise: whether the states are (B, D, H) instead of (D, B, H).
    """
    return _Connection(case, whole, first, second, batchwise).connected()


class _Connection:
    """Nodes and initializers that are added to a graph."""

    def __init__(self, case: Case, whole: Any, first: Any, second: Any, batchwise: bool) -> None:
        self.case, self.whole, self.first, self.second = case, whole, first, second
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.steps = 1 if case.batch_first else 0
        self.directions = 1 if batchwise else 0

    def connected(self) -> Any:
        """Returns the graph."""
        from onnx import helper

        match self.case.graph:
            case "twice":
                self.call_twice()
            case "encoder-decoder":
                self.encode_and_decode()
            case _:
                self.call_in_parallel()
        return helper.make_graph(self.nodes, self.whole.name, self.whole.input, self.whole.output, self.weights)

    def call_twice(self) -> None:
        """Splits all inputs by rows and concatenates all outputs. Both calls read the same initializers."""
        part = first_part(self.case)
        for value in self.whole.input:
            self.split(value.name, self.row_axis(value.name), [part, self.case.num_rows - part])
        shared = {weight.name: weight.name for weight in self.first.initializer}
        self.place(self.first, "first", shared)
        self.weights += self.first.initializer
        self.place(self.second, "second", shared)
        for value in self.whole.output:
            self.join(value.name, self.row_axis(value.name))

    def encode_and_decode(self) -> None:
        """Splits the input by steps. The states of the second call are those that the first one returns."""
        part = first_part(self.case)
        self.split("input", self.steps, [part, self.case.seq_len - part])
        self.place(self.first, "first", {value.name: value.name for value in self.first.input if value.name != "input"})
        states = [value.name for value in self.whole.output if value.name != "output"]
        passed = {name.replace("_n_", "_0_"): f"first_{name}" for name in states}
        self.place(self.second, "second", {name: name for name in states} | passed)
        self.join("output", self.steps)

    def call_in_parallel(self) -> None:
        """Reverses the input of the second call and its output. Each call has the states of one direction."""
        states = [value.name for value in self.whole.input if value.name != "input"]
        for name in states:
            self.split(name, self.directions, [1, 1])
        self.reverse("input", "second_input")
        self.place(self.first, "first", {"input": "input"})
        self.place(self.second, "second", {"output": "reversed_output"})
        self.reverse("reversed_output", "second_output")
        for value in self.whole.output:
            self.join(value.name, -1 if value.name == "output" else self.directions)

    def row_axis(self, name: str) -> int:
        """Returns the axis of the rows of an input or output."""
        if name == "sequence_lens":
            return 0
        return 1 - (self.steps if name in ("input", "output") else self.directions)

    def place(self, graph: Any, prefix: str, names: Mapping[str, str]) -> None:
        """Adds the nodes and initializers of a graph. Names get a prefix, except those in ``names``."""
        import onnx

        def renamed(name: str) -> str:
            return name and names.get(name, f"{prefix}_{name}")

        for node in graph.node:
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.input[:], copied.output[:] = map(renamed, node.input), map(renamed, node.output)
            self.nodes.append(copied)
        for weight in graph.initializer:
            if weight.name not in names:
                copied = onnx.TensorProto()
                copied.CopyFrom(weight)
                copied.name = renamed(weight.name)
                self.weights.append(copied)

    def split(self, name: str, axis: int, sizes: list[int]) -> None:
        """Splits a tensor into those of the first and the second call."""
        parts = [f"first_{name}", f"second_{name}"]
        self.add("Split", [name, self.constant(f"{name}_sizes", sizes)], parts, axis=axis)

    def join(self, name: str, axis: int) -> None:
        """Concatenates a tensor of the first call and that of the second."""
        self.add("Concat", [f"first_{name}", f"second_{name}"], [name], axis=axis)

    def reverse(self, name: str, result: str) -> None:
        """Reverses a tensor along its steps."""
        numbers = {"starts": -1, "ends": _BEFORE_FIRST, "axes": self.steps, "steps": -1}
        constants = [self.constant(f"{result}_{kind}", [number]) for kind, number in numbers.items()]
        self.add("Slice", [name, *constants], [result])

    def constant(self, name: str, numbers: list[int]) -> str:
        """Adds an initializer and returns its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.array(numbers), name))
        return name

    def add(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """Adds a node."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

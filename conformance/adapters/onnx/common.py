"""ONNX models of cases, and what the adapters of runtimes share that read them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import ONNX, Layout
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect
from reference.activations import ACTIVATIONS, Activation

Array = NDArray[Any]

NAMES = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "affine": "Affine",
    "hard_sigmoid": "HardSigmoid",
    "hard_sigmoid_6": "HardSigmoid",
    "scaled_tanh": "ScaledTanh",
    "softsign": "Softsign",
}
"""ONNX's names of activations."""

OPSET = 22
"""The newest that has a new LSTM."""


class OnnxAdapter(Adapter):
    """A runtime that takes ONNX models. It says what it supports and runs a model; inference only."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "no bias", "batch first",
         "state omitted", "peepholes", "coupled gates", "activations", "activations per direction", "clip", "float32"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "projection": "ONNX's LSTM has no projection",
        "dropout": "ONNX's LSTM has no dropout",
        "unbatched": "ONNX's LSTM needs a batch axis",
        "cell clip": "ONNX's LSTM clips what activations read, not the cell state",
        "forget bias": "ONNX's LSTM has no forget bias beside B",
        "left mask": "ONNX's LSTM has sequence_lens, and so padding at the end only",
        "holed mask": "ONNX's LSTM has sequence_lens, and so padding at the end only",
    }
    layout: ClassVar[Layout] = ONNX
    batchwise: ClassVar[bool] = False
    """Whether a batch-first case sets the operator's attribute ``layout`` to 1."""

    def supports(self, case: Case) -> str | None:
        """The operator's options, as far as the runtime takes them."""
        return super().supports(case) or refusal(self, case)

    def solve(self, problem: Problem) -> Solution:
        """Writes the problem's model and runs it."""
        outputs = self.run(model(problem, self.batchwise), feeds(problem, self.batchwise), problem.case)
        return solution(problem, outputs, self.batchwise)

    @abstractmethod
    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """The outputs of an ``onnx.ModelProto``, by name."""

    def describe(self) -> dict[str, str]:
        """Versions, and what the models are like."""
        import onnx

        transposed = "Transpose nodes around the stack, as exporters write them"
        return {
            "onnx": onnx.__version__,
            "device": "cpu",
            "model": f"opset {OPSET}, an LSTM node for each layer with Transpose and Reshape between",
            "batch first": "layout=1" if self.batchwise else transposed,
            "lengths": "sequence_lens",
        }


class ZeroLengthIsZero(OnnxAdapter):
    """A runtime whose Y_h and Y_c of a row of length 0 are 0."""

    def dialect(self, case: Case) -> Dialect:
        """Y_h is "the last output value": a row without any has 0, which onnxruntime's tests pin (its #28052)."""
        del case
        return Dialect(zero_length="zero")


def refusal(adapter: Adapter, case: Case) -> str | None:
    """What a runtime says if it does not take a case's activations; None if it takes them."""
    return _refusal(adapter, case.activations, case.direction) if "activations" in features(case) else None


@cache
def _refusal(adapter: Adapter, activations: Sequence[str], direction: str) -> str | None:
    options = {"input_size": 2, "hidden_size": 2, "seq_len": 2, "batch": 1, "check": ("output",)}
    small = Case.model_validate({**options, "activations": activations, "direction": direction})
    try:
        adapter.solve(make_problem(small))
    except RuntimeError as error:
        words = str(error).strip().splitlines()[-1].rpartition("THROWN: ")[2]
        return f"{adapter.name}, with {', '.join(activations)}: {words}"
    return None


def model(problem: Problem, batchwise: bool = False) -> Any:
    """The ``onnx.ModelProto`` of a problem, its weights as initializers.

    Inputs: ``input``, and where given ``sequence_lens`` (B,) and ``h_0_l0``, ``c_0_l0`` … (D, B, H).
    Outputs: ``output``, and ``h_n_l0``, ``c_n_l0`` … (D, B, H).

    Args:
        problem: gives options, shapes and weights.
        batchwise: whether batch-first cases set ``layout=1``, which puts B before D in states, too.
    """
    from onnx import TensorProto, helper, numpy_helper

    case, lstm = problem.case, problem.case.model
    batch_first = case.batch_first and batchwise
    kind = helper.np_dtype_to_tensor_dtype(problem.input.dtype)
    directions = lstm.num_directions

    def declared(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [declared("input", *problem.input.shape)]
    outputs = [declared("output", *problem.output_shape)]
    if problem.lengths is not None:
        inputs.append(helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, problem.lengths.shape))
    weights = {"merged": np.array([0, 0, -1])}
    nodes = []
    sequence = "input"
    if case.batch_first and not batch_first:
        nodes.append(helper.make_node("Transpose", ["input"], ["time_major"], perm=[1, 0, 2]))
        sequence = "time_major"
    for layer, hidden in enumerate(case.hidden_sizes):
        shape = (case.rows or 1, directions, hidden) if batch_first else (directions, case.rows or 1, hidden)
        own = _weights(problem, layer)
        weights |= {f"{name}_l{layer}": array for name, array in own.items()}
        states = [f"{name}_l{layer}" if case.gives_state else "" for name in ("h_0", "c_0")]
        inputs += [declared(name, *shape) for name in states if name]
        outputs += [declared(f"{name}_l{layer}", *shape) for name in ("h_n", "c_n")]
        given = [sequence, *(f"{name}_l{layer}" if name in own else "" for name in ("W", "R", "B"))]
        given += ["sequence_lens" if problem.lengths is not None else "", *states]
        given.append(f"P_l{layer}" if case.peepholes else "")
        while not given[-1]:
            given.pop()
        results = [f"Y_l{layer}", f"h_n_l{layer}", f"c_n_l{layer}"]
        options = _options(case) | ({"layout": 1} if batch_first else {})
        nodes.append(
            helper.make_node("LSTM", given, results, hidden_size=hidden, direction=case.direction, **options)
        )  # fmt: skip
        apart = results[0]
        if not batch_first:
            apart = f"rows_l{layer}"
            nodes.append(helper.make_node("Transpose", results[:1], [apart], perm=[0, 2, 1, 3]))
        sequence = "output" if layer == lstm.num_layers - 1 and case.batch_first <= batch_first else f"stacked_l{layer}"
        nodes.append(helper.make_node("Reshape", [apart, "merged"], [sequence]))
    if sequence != "output":
        nodes.append(helper.make_node("Transpose", [sequence], ["output"], perm=[1, 0, 2]))
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "lstm", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def feeds(problem: Problem, batchwise: bool = False) -> dict[str, Array]:
    """A model's inputs by name."""
    case, lstm = problem.case, problem.case.model
    given: dict[str, Array] = {"input": problem.input.copy()}
    if problem.lengths is not None:
        given["sequence_lens"] = problem.lengths.astype(np.int32)
    for layer in range(lstm.num_layers) if problem.initial_state is not None else ():
        for name in ("h_0", "c_0"):
            both = np.stack(arrays.states(problem.initial_state, lstm, layer, (name,)))
            given[f"{name}_l{layer}"] = both.swapaxes(0, 1).copy() if case.batch_first and batchwise else both
    return given


def solution(problem: Problem, outputs: Mapping[str, Array], batchwise: bool = False) -> Solution:
    """A model's outputs under their canonical names and in their canonical shapes."""
    case, lstm = problem.case, problem.case.model
    results = {"output": np.array(outputs["output"], order="C")}
    for name in ("h_n", "c_n"):
        layers = [outputs[f"{name}_l{layer}"] for layer in range(lstm.num_layers)]
        results |= arrays.stacked(
            lstm, name, [list(both.swapaxes(0, 1) if case.batch_first and batchwise else both) for both in layers]
        )
    return {name: results[name] for name in problem.expected_shapes()}


def _options(case: Case) -> dict[str, Any]:
    """The operator's attributes beyond size and direction; those at their default are left out, as exporters do."""
    options: dict[str, Any] = {}
    if case.coupled_gates:
        options["input_forget"] = 1
    if case.clip is not None:
        options["clip"] = case.clip
    if "activations" in features(case):
        both = case.activations * 2 if case.direction == "bidirectional" else case.activations
        used = [ACTIVATIONS[name] for name in both[: 3 * case.model.num_directions]]
        options["activations"] = [NAMES[each.name] for each in used]
        for attribute, given in zip(("activation_alpha", "activation_beta"), constants(used), strict=True):
            options |= {attribute: given} if given else {}
    return options


def constants(activations: Sequence[Activation]) -> tuple[list[float], list[float]]:
    """α and β of those that take some, in turn, as the operator consumes them."""
    alpha, beta = ([each.constants[place] for each in activations if len(each.constants) > place] for place in (0, 1))
    return alpha, beta


def _weights(problem: Problem, layer: int) -> dict[str, Array]:
    """One layer's W (D, 4H, I), R (D, 4H, H) and, where it has them, B (D, 8H) and P (D, 3H)."""
    directions = arrays.packed(problem, ONNX, layer)
    weights = {name: np.stack([one[name] for one in directions]) for name in ("W", "R")}
    if problem.case.bias:
        weights["B"] = np.stack([np.concatenate([one["Wb"], one["Rb"]]) for one in directions])
    if problem.case.peepholes:
        weights["P"] = np.stack([one["P"] for one in directions])
    return weights

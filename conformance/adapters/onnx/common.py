"""ONNX models of problems, and the base class of adapters for ONNX runtimes."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, graph, models, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import ONNX, Layout
from conformance.adapters.onnx import two_calls
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect, Model
from reference.activations import ACTIVATIONS, Activation

Array = NDArray[Any]

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Function that maps a model's inputs to its outputs, both by name."""

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
"""Names of activations in ONNX."""

OPSET = 22
"""Newest opset that changed the LSTM operator. It only added bfloat16 to opset 14."""


USES = (models.USES | models.ARGUMENTS) - models.BUILT
"""Uses of an ONNX model, whose symbolic axes have any size."""


class OnnxAdapter(Adapter):
    """Base class of adapters for ONNX runtimes, forward only. Subclasses implement ``load``."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "no bias", "batch first",
         "state omitted", "peepholes", "coupled gates", "activations", "activations per direction", "clip", "float32"}
    ) | graph.USES | USES  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "projection": "ONNX's LSTM has no projection",
        "dropout": "ONNX's LSTM has no dropout",
        "unbatched": "ONNX's LSTM needs a batch axis",
        "cell clip": "ONNX's LSTM clips the arguments of activations, not the cell state",
        "forget bias": "ONNX's LSTM has no forget bias besides B",
        "left mask": "ONNX's LSTM has only sequence_lens, which allows padding at the end only",
        "holed mask": "ONNX's LSTM has only sequence_lens, which allows padding at the end only",
        **dict.fromkeys(models.BUILT, "an ONNX model with symbolic axes is not built for a size"),
    }
    layout: ClassVar[Layout] = ONNX
    batchwise: ClassVar[bool] = False
    """Whether batch-first cases set the operator's attribute ``layout`` to 1, instead of transposing."""

    def supports(self, case: Case) -> str | None:
        """Refuses options that the operator lacks, pieces without states, and activations that the runtime rejects."""
        return super().supports(case) or models.refuse(case) or try_activations(self, case)

    def solve(self, problem: Problem) -> Solution:
        """Builds the problem's model and runs it."""
        case = problem.case
        run = self.load(build_model(problem, self.batchwise, self.opset()), case)

        def call(given: uses.Named) -> dict[str, Array]:
            return read_results(case, run(build_feeds(case, given, self.batchwise)), self.batchwise)

        return models.run(problem, call)

    @abstractmethod
    def load(self, model: Any, case: Case) -> Run:
        """Loads an ``onnx.ModelProto``. Returns a function that maps its inputs to its outputs, both by name."""

    def opset(self) -> int:
        """Returns the opset of the models: ``OPSET``, or the newest one of an older release of ONNX."""
        import onnx

        return min(OPSET, int(onnx.defs.onnx_opset_version()))

    def describe(self) -> dict[str, str]:
        """Returns versions and the structure of the models."""
        import onnx

        transposed = "Transpose nodes around the stack, as exporters write them"
        return {
            "onnx": onnx.__version__,
            "device": "cpu",
            "model": f"opset {self.opset()}, one LSTM node per layer with Transpose and Reshape in between",
            "batch first": "layout=1" if self.batchwise else transposed,
            "lengths": "sequence_lens",
        }


class ZeroStateOnnxAdapter(OnnxAdapter):
    """Base class for runtimes that return zeros as Y_h and Y_c of a row of length 0."""

    def dialect(self, case: Case) -> Dialect:
        """Declares zero final states for rows of length 0.

        ONNX defines Y_h as "the last output value", which such a row lacks; onnxruntime's tests expect 0
        (microsoft/onnxruntime#28052).
        """
        del case
        return Dialect(zero_length="zero")


def try_activations(adapter: Adapter, case: Case) -> str | None:
    """Returns the runtime's error message if it rejects a case's activations, else None. Solves a small problem."""
    return _try_activations(adapter, case.activations, case.direction) if "activations" in features(case) else None


@cache
def _try_activations(adapter: Adapter, activations: Sequence[str], direction: str) -> str | None:
    options = {"input_size": 2, "hidden_size": 2, "seq_len": 2, "batch": 1, "check": ("output",)}
    small = Case.model_validate({**options, "activations": activations, "direction": direction})
    try:
        adapter.solve(make_problem(small))
    except RuntimeError as error:
        words = str(error).strip().splitlines()[-1].rpartition("THROWN: ")[2]
        return f"{adapter.name}, with {', '.join(activations)}: {words}"
    return None


def build_model(problem: Problem, batchwise: bool = False, opset: int = OPSET) -> Any:
    """Returns a problem as an ``onnx.ModelProto`` with its weights as initializers.

    Inputs: ``input``, and if the problem has them ``sequence_lens`` (B,) and ``h_0_l0``, ``c_0_l0`` … (D, B, H).
    Outputs: ``output``, and ``h_n_l0``, ``c_n_l0`` … (D, B, H).

    Args:
        problem: options, shapes and weights.
        batchwise: whether batch-first cases set ``layout=1``. States are then (B, D, H).
        opset: version of ONNX's operators. The version of the file format is the first that has this opset.
    """
    built = _build_graph(problem, batchwise)
    if problem.case.graph != "single":
        first, second = (_build_graph(part, batchwise) for part in graph.calls(problem))
        built = two_calls.connect(problem.case, built, first, second, batchwise and problem.case.batch_first)
    return make_model(built, opset)


def _build_graph(problem: Problem, batchwise: bool) -> Any:
    """Returns the ``onnx.GraphProto`` of a single call, as in ``build_model``."""
    from onnx import TensorProto, helper, numpy_helper

    case, lstm = problem.case, problem.case.model
    batch_first = case.batch_first and batchwise
    kind = helper.np_dtype_to_tensor_dtype(problem.input.dtype)
    directions = lstm.num_directions

    dynamic = models.dynamic_axes(case, ["input", "output", "h_0", "c_0", "h_n", "c_n", "lengths"])

    def declared(name: str, *shape: int, dtype: int = kind) -> Any:
        axes = dynamic["lengths" if name == "sequence_lens" else name.partition("_l")[0]]
        if batch_first and name[:3] in ("h_0", "c_0", "h_n", "c_n"):
            axes = {axis - 1: symbol for axis, symbol in axes.items()}
        return helper.make_tensor_value_info(name, dtype, [axes.get(axis, size) for axis, size in enumerate(shape)])

    inputs = [declared("input", *problem.input.shape)]
    outputs = [declared("output", *problem.output_shape)]
    if problem.lengths is not None:
        inputs.append(declared("sequence_lens", *problem.lengths.shape, dtype=TensorProto.INT32))
    weights = {"merged": np.array([0, 0, -1])}
    nodes = []
    sequence = "input"
    if case.batch_first and not batch_first:
        nodes.append(helper.make_node("Transpose", ["input"], ["time_major"], perm=[1, 0, 2]))
        sequence = "time_major"
    for layer, hidden in enumerate(case.hidden_sizes):
        shape = (case.num_rows, directions, hidden) if batch_first else (directions, case.num_rows, hidden)
        own = _weights(problem, layer)
        weights |= {f"{name}_l{layer}": array for name, array in own.items()}
        states = [f"{name}_l{layer}" if name in case.given_states else "" for name in ("h_0", "c_0")]
        inputs += [declared(name, *shape) for name in states if name]
        outputs += [declared(f"{name}_l{layer}", *shape) for name in ("h_n", "c_n")]
        given = [sequence, *(f"{name}_l{layer}" if name in own else "" for name in ("W", "R", "B"))]
        given += ["sequence_lens" if problem.lengths is not None else "", *states]
        given.append(f"P_l{layer}" if case.peepholes else "")
        while not given[-1]:
            given.pop()
        results = [f"Y_l{layer}", f"h_n_l{layer}", f"c_n_l{layer}"]
        options = _attributes(case) | ({"layout": 1} if batch_first else {})
        nodes.append(
            helper.make_node("LSTM", given, results, hidden_size=hidden, direction=case.direction, **options)
        )  # fmt: skip
        apart = results[0]
        if not batch_first:
            apart = f"rows_l{layer}"
            nodes.append(helper.make_node("Transpose", results[:1], [apart], perm=[0, 2, 1, 3]))
        sequence = "output" if layer == lstm.num_layers - 1 and case.batch_first <= batch_first else f"stacked_l{layer}"
        merged = "merged"
        if case.is_empty:  # An array without elements does not determine -1.
            merged = f"merged_l{layer}"
            weights[merged] = np.array([0, 0, lstm.output_size(layer)])
        nodes.append(helper.make_node("Reshape", [apart, merged], [sequence]))
    if sequence != "output":
        nodes.append(helper.make_node("Transpose", [sequence], ["output"], perm=[1, 0, 2]))
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    return helper.make_graph(nodes, "lstm", inputs, outputs, initializers)


def make_model(graph: Any, opset: int) -> Any:
    """Returns a graph as an ``onnx.ModelProto`` of an opset, in the first version of the file format that has it."""
    from onnx import helper

    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))


def build_feeds(case: Case, given: uses.Named, batchwise: bool = False) -> dict[str, Array]:
    """Returns the inputs of a case's model by name. ``batchwise`` as in ``build_model``."""
    lstm = case.model
    feeds: dict[str, Array] = {"input": given["input"]}
    if "lengths" in given:
        feeds["sequence_lens"] = given["lengths"].astype(np.int32)
    for layer in range(lstm.num_layers):
        for name in ("h_0", "c_0"):
            if not any(state.startswith(name) for state in given):
                continue
            both = given[f"{name}_l{layer}"] if not lstm.is_uniform else _layer(given[name], lstm, layer)
            feeds[f"{name}_l{layer}"] = both.swapaxes(0, 1) if case.batch_first and batchwise else both
    return feeds


def _layer(state: Array, lstm: Model, layer: int) -> Array:
    """Returns one layer's part (D, B, ·) of a state, as a view."""
    return state[layer * lstm.num_directions : (layer + 1) * lstm.num_directions]


def read_results(case: Case, outputs: Mapping[str, Array], batchwise: bool = False) -> dict[str, Array]:
    """Returns a model's outputs under their canonical names and in their canonical shapes."""
    lstm = case.model
    results = {"output": np.array(outputs["output"], order="C")}
    for name in ("h_n", "c_n"):
        layers = [outputs[f"{name}_l{layer}"] for layer in range(lstm.num_layers)]
        results |= arrays.stacked(
            lstm, name, [list(both.swapaxes(0, 1) if case.batch_first and batchwise else both) for both in layers]
        )
    return results


def _attributes(case: Case) -> dict[str, Any]:
    """Returns the operator's attributes besides size and direction. Defaults are left out, as exporters do."""
    options: dict[str, Any] = {}
    if case.coupled_gates:
        options["input_forget"] = 1
    if case.clip is not None:
        options["clip"] = case.clip
    if "activations" in features(case):
        both = case.activations * 2 if case.direction == "bidirectional" else case.activations
        used = [ACTIVATIONS[name] for name in both[: 3 * case.model.num_directions]]
        options["activations"] = [NAMES[each.name] for each in used]
        for attribute, given in zip(("activation_alpha", "activation_beta"), split_constants(used), strict=True):
            options |= {attribute: given} if given else {}
    return options


def split_constants(activations: Sequence[Activation]) -> tuple[list[float], list[float]]:
    """Returns all α and all β of a list of activations. Activations without a constant have no entry, as in ONNX."""
    alpha, beta = ([each.constants[place] for each in activations if len(each.constants) > place] for place in (0, 1))
    return alpha, beta


def _weights(problem: Problem, layer: int) -> dict[str, Array]:
    """Returns one layer's W (D, 4H, I), R (D, 4H, H) and, if present, B (D, 8H) and P (D, 3H)."""
    directions = arrays.packed(problem, ONNX, layer)
    weights = {name: np.stack([one[name] for one in directions]) for name in ("W", "R")}
    if problem.case.bias:
        weights["B"] = np.stack([np.concatenate([one["Wb"], one["Rb"]]) for one in directions])
    if problem.case.peepholes:
        weights["P"] = np.stack([one["P"] for one in directions])
    return weights

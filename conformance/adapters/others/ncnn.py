"""Adapter for ncnn's LSTM layer. It writes a net for each problem."""

import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, models, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import NCNN, Layout
from conformance.adapters.origin import ReportedError
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model

Array = NDArray[np.floating]

_MAGIC = "7767517"
_NO_BATCH = "ncnn's LSTM has no batch axis"
_DIRECTIONS = {"forward": 0, "reverse": 1, "bidirectional": 2}
_FLOAT32 = bytes(4)
"""Tag before an array in a model file. Zeros mean that float32 values follow unchanged."""


class NcnnLSTM(Adapter):
    """Drives a net of ncnn's ``LSTM`` layers on the CPU, with a separate extractor for each row."""

    name = "ncnn.LSTM"
    requires = ("ncnn",)
    install = "pip install 'lstm-conformance[ncnn]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "projection", "unbatched", "batch first",
         "state omitted", "float32", "chunks", "repeated call", "after other lengths", "after an error", "saved",
         "strided memory", "empty sequence", "wrong input", "wrong dtype", "wrong state", "wrong layers of a state"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "float64": "ncnn has no float64",
        **dict.fromkeys(
            ("after other batches", "expanded states", "rows alone", "rows permuted", "empty batch"), _NO_BATCH
        ),
    }
    layout: ClassVar[Layout] = NCNN

    def supports(self, case: Case) -> str | None:
        """Also refuses pieces without initial states, and a state with a wrong number of rows."""
        if case.refuses in ("h_0-rows", "c_0-rows", "input-axes"):
            return _NO_BATCH
        return super().supports(case) or models.refuse(case)

    def solve(self, problem: Problem) -> Solution:
        """Loads the net and runs it on each row."""
        net = _net(problem)
        return models.run(problem, lambda given: _run(net, problem.case, given))

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, precision, and how layers and rows are run."""
        import ncnn

        return {
            "ncnn": ncnn.__version__,
            "device": "cpu",
            "threads": "1",
            "precision": "float32: the options use_fp16_* and use_bf16_* are off",
            "stacked": "one LSTM layer of the net per layer, as pnnx converts torch.nn.LSTM(num_layers=…)",
            "rows": f"one extractor per row, as ncnn's FAQ advises: {_NO_BATCH}",
        }


def _net(problem: Problem) -> Any:
    """Returns a net with a problem's layers and weights."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in dir(net.opt):
        if option.startswith(("use_fp16_", "use_bf16_")):
            setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        structure, weights = Path(folder, "lstm.param"), Path(folder, "lstm.bin")
        structure.write_text(_structure(problem.case))
        weights.write_bytes(b"".join(_FLOAT32 + array.tobytes() for array in _weights(problem)))
        if net.load_param(str(structure)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn cannot load the net")
    return net


def _structure(case: Case) -> str:
    """Returns the net in ncnn's text format: one layer per line, with its inputs, outputs and options."""
    model = case.model
    lines, below, blobs = ["Input x 0 1 x"], "x", 1
    for layer, hidden in enumerate(model.hidden_sizes):
        states = [f"h0_{layer}", f"c0_{layer}"] if case.gives_state else []
        lines += [f"Input {state} 0 1 {state}" for state in states]
        above = "y" if layer == model.num_layers - 1 else f"y{layer}"
        inputs, outputs = [below, *states], [above, f"h{layer}", f"c{layer}"]
        options = {
            0: model.state_size(layer),
            1: model.num_directions * 4 * hidden * model.layer_input_size(layer),
            2: _DIRECTIONS[model.direction],
            3: hidden,
        }
        numbers = " ".join(f"{key}={value}" for key, value in options.items())
        lines.append(f"LSTM lstm{layer} {len(inputs)} 3 {' '.join(inputs + outputs)} {numbers}")
        below, blobs = above, blobs + len(states) + 3
    return "\n".join([_MAGIC, f"{len(lines)} {blobs}", *lines, ""])


def _weights(problem: Problem) -> list[Array]:
    """Returns the arrays of all layers in ncnn's order, both directions stacked along a new first axis."""
    return [
        np.stack([one[name] for one in directions])
        for layer in range(problem.case.num_layers)
        for directions in [arrays.packed(problem, NCNN, layer)]
        for name in (NCNN.weight_ih, NCNN.bias_ih, NCNN.weight_hh, NCNN.weight_hr)
        if name in directions[0]
    ]


def _run(net: Any, case: Case, given: uses.Named) -> dict[str, Array]:
    """Runs the net on each row, or once if a case is unbatched. Returns the results by their canonical names."""
    model, found = case.model, []
    # An unbatched case has one row.
    for row in range(1 if case.rows is None else given["input"].shape[uses.row_axis(case, "input")]):
        tensors = {
            name: array if case.rows is None else array.swapaxes(0, uses.row_axis(case, name))[row]
            for name, array in given.items()
        }
        found.append(_extract(net, _inputs(model, tensors), model, strided=case.memory == "strided"))

    def final(name: str) -> dict[str, Array]:
        rows = [np.stack([each[f"{name}{layer}"] for each in found], axis=1) for layer in range(model.num_layers)]
        layers = [states[:, 0] if case.rows is None else states for states in rows]
        if model.is_uniform:
            return {f"{name}_n": np.concatenate(layers)}
        return {f"{name}_n_l{layer}": states for layer, states in enumerate(layers)}

    outputs = [each["y"] for each in found]
    output = outputs[0] if case.rows is None else arrays.batch_major(np.stack(outputs), case)
    return {"output": output, **final("h"), **final("c")}


def _inputs(model: Model, tensors: uses.Named) -> dict[str, Array]:
    """Returns one row's sequence (T, ·) and initial states (directions, ·) by the names of the net's inputs."""
    found: dict[str, Array] = {"x": tensors["input"]}
    count = model.num_directions
    for layer in range(model.num_layers):
        for name in ("h_0", "c_0"):
            if f"{name}_l{layer}" in tensors:
                found[f"{name[0]}0_{layer}"] = tensors[f"{name}_l{layer}"]
            elif name in tensors:
                found[f"{name[0]}0_{layer}"] = tensors[name][layer * count : (layer + 1) * count]
    return found


def _extract(net: Any, tensors: Mapping[str, Array], model: Model, strided: bool) -> dict[str, Array]:
    """Runs the net on one row. Returns ``y`` (T, ·), and for each layer ``h0``, ``c0`` … (directions, ·)."""
    import ncnn

    extractor = net.create_extractor()
    # A Mat refers to its array's memory without owning it: the arrays must outlive the extractor.
    given = {name: array if strided else np.array(array, order="C") for name, array in tensors.items()}
    for name, array in given.items():
        if code := extractor.input(name, ncnn.Mat(array)):
            raise ReportedError(f"ncnn rejects the input {name}: code {code}")
    results = {}
    for name in ["y", *(f"{state}{layer}" for layer in range(model.num_layers) for state in "hc")]:
        code, mat = extractor.extract(name)
        if code:
            raise ReportedError(f"ncnn cannot extract {name}: code {code}")
        results[name] = np.array(mat)
    return results

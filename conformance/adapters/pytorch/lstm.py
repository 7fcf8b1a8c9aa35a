"""``torch.nn.LSTM``, called eagerly on the CPU."""

import io
import warnings
from collections.abc import Callable, Mapping, Set
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import graph, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch import parameters as _parameters
from conformance.adapters.pytorch.earlier import make_calls
from conformance.cases.case import Case
from conformance.cases.uses import first_part
from conformance.verdict.problem import Problem, Tensors

Options = tuple[tuple[str, Any], ...]

USES = frozenset(
    {"partial loss", "frozen", "chunks", "repeated call", "after other lengths", "after other batches",
     "after the other mode", "after no-grad", "after an error", "after other weights", "saved", "strided memory",
     "expanded states", "aliased states", "rows alone", "rows permuted", "empty batch", "wrong input", "wrong dtype",
     "wrong state", "wrong layers of a state", "wrong lengths", "wrong weight", "forward derivatives",
     "second derivatives", "other threads"}
) | graph.USES  # fmt: skip
"""Uses of a module that is called eagerly."""

NO_EMPTY_SEQUENCE = 'torch: "Expected sequence length to be larger than 0 in RNN"'

LACKS = {
    "one state given": "torch.nn.LSTM takes h_0 and c_0 together",
    "built for another length": "torch.nn.LSTM is not built for a length",
    "built for another batch": "torch.nn.LSTM is not built for a batch size",
    "read-only memory": "torch has no read-only tensors",
    "empty sequence": NO_EMPTY_SEQUENCE,
}
"""Reasons why torch does not support other uses."""


class TorchLSTM(Adapter):
    """Drives ``torch.nn.LSTM`` on the CPU. Uses packed sequences if the case has lengths."""

    name = "torch.nn.LSTM"
    requires = ("torch",)
    install = "pip install 'lstm-conformance[torch]'"
    path: str = "the module called eagerly"
    # torch documents which operations are not deterministic. On the CPU, none of them is part of an LSTM.
    repeats_exactly: bool = True
    onednn: ClassVar[bool] = True
    """Whether torch may use oneDNN."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "projection", "dropout", "no bias", "unbatched", "batch first",
         "state omitted", "gradients", "float64", "float32", "float16", "bfloat16"}
    ) | USES  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = LACKS
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses rows of length 0, and dtypes and forward derivatives that torch refuses on this machine."""
        if reason := super().supports(case):
            return reason
        if isinstance(case.lengths, tuple) and min(case.lengths) == 0:
            return "pack_padded_sequence refuses lengths of 0"
        if reason := refuse_graph(case):
            return reason
        if "jvp" in case.check and (reason := self._refuse_forward_derivatives(case)):
            return reason
        return _torch.refusal("LSTM", case.dtype, proj_size=2 if case.proj_size else 0)

    def _refuse_forward_derivatives(self, case: Case) -> str | None:
        """Returns the reason why torch cannot differentiate a case in forward mode on this machine; None if it can."""
        if case.lengths is not None:
            return "torch: _pack_padded_sequence has no forward-mode derivative"
        if case.memory == "expanded":
            return "torch.func.jvp gives tangents the layout of their tensors, and refuses one with a stride of 0"
        return _torch.refusal_of_forward_derivatives(case.dtype, self.onednn, 2 if case.proj_size else 0)

    def solve(self, problem: Problem) -> Solution:
        """Loads the problem's parameters into a module and runs it."""
        import torch

        case, dtype = problem.case, self._dtype(problem.case)
        module, function = self._load(problem)
        given = _torch.to_arguments(problem, dtype, grad=True)
        tensors = {name: tensor for name, tensor in given.items() if name != "lengths"}
        sources = _parameters.held(case, {name: name for name in problem.parameters})
        leaves = tensors | {own: attrgetter(own)(module) for own in sources}
        for own, leaf in leaves.items():
            leaf.requires_grad_(sources.get(own, own) not in case.frozen)
        call = partial(run, function)
        make_calls(module, call, problem, dtype)

        def outputs() -> dict[str, Any]:
            return uses.run(case, partial(call, case), given, torch.cat)

        wanted = {
            name: _parameters.result_names(case, name, problem.parameters)
            for name in problem.expected_shapes()
            if not name.startswith("jvp.")
        }
        tangents = {**problem.tangents, **_parameters.held(case, problem.tangents)}
        names = [each for names in wanted.values() for each in names]
        found = _torch.solve(outputs, names, leaves, problem.cotangents, tangents)
        results = {name: _parameters.total([found[each] for each in names]) for name, names in wanted.items()}
        if "jvp" in case.check:

            def outputs_of(leaves: Mapping[str, Any]) -> dict[str, Any]:
                parameters = _parameters.held(case, {name: leaves[name] for name in problem.parameters})
                call = partial(run, partial(functional_call, function, parameters), case)
                return uses.run(case, call, given | {name: leaves[name] for name in tensors}, torch.cat)

            first = {name: leaves[_parameters.module_names(case, name)[0]] for name in problem.parameters}
            results |= _torch.forward_derivatives(outputs_of, tensors | first, problem.tangents)
        uses.check_unchanged({name: _torch.to_array(tensor) for name, tensor in tensors.items()}, problem)
        return results

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads and kernels, and how lengths and dropout are handled."""
        described = _torch.describe() | {"path": self.path}
        if "lengths" in self.features:
            described["lengths"] = "pack_padded_sequence(enforce_sorted=False), pad_packed_sequence(total_length=T)"
        if "dropout" in self.features:
            described["dropout"] = (
                "torch draws the masks; the adapter recovers them by running torch.nn.LSTM with known parameters and "
                "the same seed"
            )
        return described

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the masks that torch draws in ``solve``, recovered by running ``torch.nn.LSTM`` itself.

        The masks also cover padding steps, which a packed sequence never passes to the next layer.
        """
        case = problem.case
        if not case.drops or case.dropout == 1:
            return problem.dropout_masks
        return {f"l{layer}": _recover_mask(problem, layer) for layer in range(case.num_layers - 1)}

    def _load(self, problem: Problem) -> tuple[Any, Callable[..., Any]]:
        """Returns the module that holds the problem's parameters, and the function to call."""
        case = problem.case
        module = self._module(case)
        load_parameters(module, case, _torch.to_tensors(uses.parameters(problem), self._dtype(case)))
        if case.saved:
            module = self._saved(module, case)
        return module, self._callable(module, case)

    def _saved(self, module: Any, case: Case) -> Any:
        """Saves a module and loads it into a new one."""
        import torch

        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        loaded = self._module(case)
        loaded.load_state_dict(torch.load(file, weights_only=True), strict=True)
        return loaded

    def _dtype(self, case: Case) -> str:
        """Returns the dtype of parameters and input."""
        return case.dtype

    def _module(self, case: Case) -> Any:
        """Returns the module that ``solve`` loads the parameters into."""
        return build_module(case, self._dtype(case))

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        """Returns the function to call with the input (tensor or packed sequence) and the state (h_0, c_0) or None."""
        del case
        return module  # type: ignore[no-any-return]


def functional_call(module: Any, parameters: Any, inputs: Any, state: Any) -> Any:
    """Calls a module on parameters that take the place of its own."""
    import torch

    return torch.func.functional_call(module, parameters, (inputs, state))


def refuse_graph(case: Case) -> str | None:
    """Returns the reason why no module of ``two_calls`` takes the arguments of a case; None if one does."""
    if case.graph != "single" and case.lengths is not None:
        return "the graph takes tensors, not packed sequences"
    return None


def build_module(case: Case, dtype: str) -> Any:
    """Builds a case's ``torch.nn.LSTM``, or the module of a graph of two calls, in the case's mode.

    Its parameters are uninitialized. Every problem gets a new module. A module that several adapters share carries
    state from one to the next: after ``torch.func.functional_call``, for example, its ``_flat_weights`` still hold the
    tensors of that call.
    """
    lstm = build_lstm(lstm_options(case), dtype)
    return (lstm if case.graph == "single" else _connected(case, lstm, dtype)).train(case.mode == "train")


def _connected(case: Case, lstm: Any, dtype: str) -> Any:
    """Returns a module that calls an LSTM twice, or a second one, too, as the graph of a case requires."""
    from conformance.adapters.pytorch import two_calls

    if case.graph == "twice":
        return two_calls.Twice(lstm, uses.row_axis(case, "input"), first_part(case))
    second, axis = build_lstm(lstm_options(case), dtype), uses.time_axis(case)
    if case.graph == "encoder-decoder":
        return two_calls.EncoderDecoder(lstm, second, axis, first_part(case))
    return two_calls.Parallel(lstm, second, axis)


def load_parameters(module: Any, case: Case, tensors: Mapping[str, Any]) -> None:
    """Loads the parameters of a problem, by their canonical names, into a module of ``build_module``."""
    module.load_state_dict(_parameters.held(case, tensors), strict=True)


def lstm_options(case: Case) -> Options:
    """Returns a case's arguments of ``torch.nn.LSTM`` as pairs of name and value."""
    return (
        ("input_size", case.input_size),
        ("hidden_size", case.hidden_sizes[0]),
        ("num_layers", case.num_layers),
        ("bias", case.bias),
        ("batch_first", case.batch_first),
        ("dropout", case.dropout),
        ("bidirectional", case.direction == "bidirectional" and case.graph != "parallel"),
        ("proj_size", case.proj_size),
    )


def build_lstm(options: Options, dtype: str) -> Any:
    """Builds a ``torch.nn.LSTM`` with uninitialized parameters, without warning about dropout in a single layer."""
    with warnings.catch_warnings():
        # Cases with dropout in a single layer check that it has no effect.
        warnings.filterwarnings("ignore", "dropout option adds dropout after all but last", UserWarning)
        return _torch.build("LSTM", dict(options), dtype)


def run(module: Callable[..., Any], case: Case, given: uses.Named) -> dict[str, Any]:
    """Calls a module once, with a packed sequence if there are lengths, and returns its results by name.

    Dropout draws the same masks each time a case runs, whatever its use. Torch's global random state is restored.

    Args:
        module: module or function that takes the input and the state.
        case: the case.
        given: the arguments: ``input``, ``h_0`` and ``c_0`` as tensors, ``lengths`` as an array.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    inputs, lengths = given["input"], given.get("lengths")
    state = (given["h_0"], given["c_0"]) if "h_0" in given else None
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(case.one_call.key, 16) >> 1)
        if lengths is None:
            output, (h_n, c_n) = module(inputs, state)
            return {"output": output, "h_n": h_n, "c_n": c_n}
        counts = torch.from_numpy(lengths.copy())
        packed = pack_padded_sequence(inputs, counts, batch_first=case.batch_first, enforce_sorted=False)
        output, (h_n, c_n) = module(packed, state)
    padded, _ = pad_packed_sequence(output, batch_first=case.batch_first, total_length=case.seq_len)
    return {"output": padded, "h_n": h_n, "c_n": c_n}


def _recover_mask(problem: Problem, boundary: int) -> NDArray[np.floating]:
    """Returns the dropout mask on the output of layer ``boundary``, time-major (T, B, ·): 0 or 1 / (1 - p).

    A probe with known parameters draws the same masks: they depend only on shapes, p and the seed, and lower layers
    draw first. The probe's lower layers output the constant tanh(1) for any input. Its last layer copies each element
    of its input to a separate unit, whose h is about 0.6 if the element was kept and about 0 if it was dropped.

    Args:
        problem: the problem.
        boundary: index of the layer whose output is masked.
    """
    import torch

    case = problem.case
    width = case.model.state_size(boundary)
    hidden, top = case.hidden_sizes[0], boundary + 1
    options = dict(lstm_options(case)) | {"num_layers": boundary + 2, "bias": True}
    probe = build_lstm(tuple(options.items()), case.dtype)
    with torch.no_grad(), _torch.quietly():
        for name, parameter in probe.named_parameters():
            parameter.zero_()
            layer = int(name.split("_l")[1].split("_")[0])
            if name.startswith("bias_ih"):
                # Gates i and o are 1 and f is 0, so h = tanh(tanh(candidate)).
                gates = torch.tensor([60.0, -60.0, 60.0 if layer < top else 0.0, 60.0])
                parameter.view(4, hidden).copy_(gates[:, None])
            elif name.startswith("weight_hr"):
                parameter.fill_diagonal_(1)
            elif name.startswith("weight_ih") and layer == top:
                offset = width if name.endswith("_reverse") else 0
                for unit in range(width):
                    parameter[2 * hidden + unit, offset + unit] = 1
        probe.train()
        lengths = {} if problem.lengths is None else {"lengths": problem.lengths}
        inputs = torch.zeros(problem.input.shape, dtype=getattr(torch, case.dtype))
        output = run(probe, case, {"input": inputs, **lengths})["output"]
    kept = _torch.to_array(output) > 0.25
    if case.rows is None:
        kept = kept[:, None]
    elif case.batch_first:
        kept = np.moveaxis(kept, 0, 1)
    return np.ascontiguousarray(kept) / (1.0 - case.dropout)

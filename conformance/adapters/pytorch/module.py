"""The module ``torch.nn.LSTM``: how it is built, gets its parameters, and is called."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from conformance.adapters import uses
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch import parameters as _parameters
from conformance.cases.case import Case
from conformance.cases.uses import first_part

Options = tuple[tuple[str, Any], ...]
"""Arguments of ``torch.nn.LSTM`` as pairs of name and value."""


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


def functional_call(module: Any, parameters: Any, inputs: Any, state: Any) -> Any:
    """Calls a module on parameters that take the place of its own."""
    import torch

    return torch.func.functional_call(module, parameters, (inputs, state))

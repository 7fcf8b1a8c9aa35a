"""``torch.nn.LSTM`` in other modes of execution: without oneDNN, as TorchScript, and under ``torch.func``."""

import io
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar

from conformance.adapters import uses
from conformance.adapters.adapter import Solution
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import USES, TorchLSTM
from conformance.adapters.pytorch.module import (
    Options,
    build_lstm,
    build_module,
    functional_call,
    load_parameters,
    lstm_options,
    run,
)
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TorchLSTMNative(TorchLSTM):
    """Drives ``torch.nn.LSTM`` on torch's own kernels, with oneDNN disabled."""

    name = "torch.nn.LSTM[native]"
    path = "the module called eagerly, and differentiated, under torch.backends.mkldnn.flags(enabled=False)"
    onednn = False

    def solve(self, problem: Problem) -> Solution:
        """Runs forward and backward with oneDNN disabled."""
        import torch

        with warnings.catch_warnings():
            # The context manager also sets an option for Intel GPUs. Torch warns that it has no effect.
            warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN", UserWarning)
            with torch.backends.mkldnn.flags(enabled=False):
                return super().solve(problem)

    def describe(self) -> dict[str, str]:
        """Adds that oneDNN is off."""
        return super().describe() | {"oneDNN": "off"}


class TorchLSTMScript(TorchLSTM):
    """Drives a module that holds and calls a ``torch.nn.LSTM``, compiled by ``torch.jit.script``.

    A scripted LSTM alone cannot be called: its ``forward`` is overloaded.
    """

    name = "torch.nn.LSTM[script]"
    path = "torch.jit.script of a module that holds and calls the LSTM"
    features = TorchLSTM.features - {"forward derivatives"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchLSTM.lacks,
        "forward derivatives": "torch.func.functional_call does not take a scripted module",
    }

    def _load(self, problem: Problem) -> tuple[Any, Callable[..., Any]]:
        """Returns the LSTM that holds the parameters, and the scripted module that calls it."""
        import torch

        case = problem.case
        wrapper = _scripted_for(case)
        module = wrapper.lstm if case.graph == "single" else wrapper
        load_parameters(module, case, _torch.to_tensors(uses.parameters(problem), case.dtype))
        if case.saved:
            file = io.BytesIO()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "`torch.jit.(save|load)` is", DeprecationWarning)
                torch.jit.save(wrapper, file)
                file.seek(0)
                wrapper = torch.jit.load(file)
        return wrapper.lstm if case.graph == "single" else wrapper, wrapper


class TorchLSTMFunctionalCall(TorchLSTM):
    """Drives ``torch.func.functional_call`` with all parameters given, differentiated by ``torch.func.vjp``."""

    name = "torch.nn.LSTM[functional_call]"
    path = "torch.func.functional_call with every parameter given"
    features = TorchLSTM.features - USES

    def solve(self, problem: Problem) -> Solution:
        """Runs the module on parameters passed as arguments."""
        import torch

        case = problem.case
        module, arguments = self._module(case), _arguments(problem)

        names = ["input", *(problem.initial_state or {})]
        lengths = {} if problem.lengths is None else {"lengths": problem.lengths}

        def outputs(parameters: Any, *given: Any) -> dict[str, Any]:
            named = dict(zip(names, given, strict=True))
            return run(partial(functional_call, module, parameters), case, named | lengths)

        with _torch.quietly():
            if "gradients" not in case.check:
                with torch.no_grad():
                    results = outputs(*arguments)
            else:
                results, vjp = torch.func.vjp(outputs, *arguments)
                results = results | _named(problem, vjp(_torch.to_tensors(problem.cotangents, case.dtype)))
        return {name: _torch.to_array(results[name]) for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Adds how gradients are computed."""
        return super().describe() | {"gradients": "torch.func.vjp"}


class TorchLSTMVmap(TorchLSTM):
    """Drives gradients per row: ``torch.func.vmap`` over the batch around ``torch.func.grad``."""

    name = "torch.nn.LSTM[vmap]"
    path = "torch.func.vmap over unbatched rows, around torch.func.grad, around torch.func.functional_call"

    features = TorchLSTM.features - USES - {"lengths", "dropout", "unbatched"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.func.vmap needs rows of equal length",
        "dropout": "under torch.func.vmap, dropout draws a mask for each row, in another order",
        "unbatched": "torch.func.vmap needs a batch to map over",
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses cases without gradients: torch has a batching rule for the LSTM only under ``grad``."""
        if reason := super().supports(case):
            return reason
        return None if "gradients" in case.check else "torch.func.vmap has no batching rule for aten::lstm without grad"

    def solve(self, problem: Problem) -> Solution:
        """Runs all rows at once and sums the rows' gradients of each parameter."""
        import torch

        case = problem.case
        module = self._module(case)
        row = 0 if case.batch_first else 1
        cotangents = _torch.to_tensors(problem.cotangents, case.dtype)

        def total(parameters: Any, inputs: Any, state: Any, weights: Any) -> tuple[Any, dict[str, Any]]:
            output, (h_n, c_n) = functional_call(module, parameters, inputs, state or None)
            outputs = {"output": output, "h_n": h_n, "c_n": c_n}
            return sum((outputs[name] * weights[name]).sum() for name in outputs), outputs

        parameters, inputs, *state = _arguments(problem)
        at = {"output": row, "h_n": 1, "c_n": 1}
        mapped = torch.func.vmap(
            torch.func.grad(total, argnums=(0, 1, 2), has_aux=True),
            in_dims=(None, row, 1, at),
            out_dims=((0, row, 1), at),
        )
        with _torch.quietly():
            # Torch warns about each operator that it runs row by row.
            warnings.filterwarnings("ignore", "There is a performance drop because", UserWarning)
            (for_parameters, for_input, for_state), results = mapped(parameters, inputs, tuple(state), cotangents)
        summed = {name: gradient.sum(0) for name, gradient in for_parameters.items()}
        results = results | _named(problem, (summed, for_input, *for_state))
        return {name: _torch.to_array(results[name]) for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Adds how gradients are computed."""
        return super().describe() | {"gradients": "torch.func.grad for each row; torch sums those of the parameters"}


def _scripted_for(case: Case) -> Any:
    if case.graph != "single":
        return _script(build_module(case, case.dtype))
    # A scripted module has its own training mode.
    return scripted(lstm_options(case), case.dtype, case.lengths is not None).train(case.mode == "train")


@lru_cache(maxsize=64)
def scripted(options: Options, dtype: str, packed: bool) -> Any:
    """Returns the TorchScript of a module that holds an LSTM as ``lstm`` and calls it.

    Compiling takes about 130 ms, so it is cached. No other adapter has access to the LSTM.

    Args:
        options: arguments of ``torch.nn.LSTM``.
        dtype: dtype of the parameters.
        packed: whether the module takes packed sequences.
    """
    from conformance.adapters.pytorch import script as _torch_script

    wrapper = _torch_script.OnPacked if packed else _torch_script.OnTensor
    return _script(wrapper(build_lstm(options, dtype)))


def _script(module: Any) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is", DeprecationWarning)
        return torch.jit.script(module)


def _arguments(problem: Problem) -> tuple[Any, ...]:
    """Returns the parameters by name, then the input, then h_0 and c_0 if they are given."""
    parameters, rest = (
        _torch.to_tensors(arrays, problem.case.dtype)
        for arrays in (problem.parameters, {"input": problem.input, **(problem.initial_state or {})})
    )
    return parameters, *rest.values()


def _named(problem: Problem, gradients: tuple[Any, ...]) -> dict[str, Any]:
    """Returns the gradients of ``_arguments`` by their canonical names."""
    for_parameters, *rest = gradients
    names = ["input", *(problem.initial_state or {})]
    by_name = dict(zip(names, rest, strict=True)) | for_parameters
    return {f"grad.{name}": gradient for name, gradient in by_name.items()}

"""``torch.nn.LSTM`` captured as a graph by ``torch.export`` and ``torch.compile``."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from conformance.adapters import models, uses
from conformance.adapters.adapter import Solution
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.adapters.pytorch.module import load_parameters, run
from conformance.cases.case import Case
from conformance.cases.uses import is_batch_dynamic, is_time_dynamic
from conformance.verdict import declared
from conformance.verdict.problem import Problem


class TorchLSTMExport(TorchLSTM):
    """Drives a program exported by ``torch.export`` for the case's shapes. Its graph holds one ``aten::lstm``."""

    name = "torch.nn.LSTM[export]"
    path = "torch.export.export(…).module()"
    default_tag = "core"

    features = (TorchLSTM.features | models.BUILT) - {"lengths", "after the other mode"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchLSTM.lacks,
        "lengths": "torch.export cannot guard on the batch sizes of a packed sequence: they depend on data",
        "after the other mode": "an exported program has the mode in which it was exported",
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses what torch.export refuses: a dynamic time axis, and a dynamic batch axis of size 1."""
        if is_time_dynamic(case):
            return 'torch.export with a dynamic time axis: "your code specialized it to be a constant"'
        if is_batch_dynamic(case) and (case.built_batch or case.rows) == 1:
            return 'torch.export with a dynamic batch axis: "export 0/1 specialized due to hint of 1"'
        return super().supports(case)

    def _load(self, problem: Problem) -> tuple[Any, Callable[..., Any]]:
        """Exports a program for the built shape, saves and loads it if the case says so, and returns it twice."""
        import torch

        case, dtype = problem.case, self._dtype(problem.case)
        module = self._module(case)
        load_parameters(module, case, _torch.to_tensors(uses.parameters(problem), dtype))
        built = _torch.to_arguments(models.built_problem(problem), dtype)
        state = tuple(built[name] for name in case.given_states) or None
        of_input, *of_state = (
            dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in models.dynamic_axes(case, list(built)).values()
        )
        # Without gradients, run_decompositions chooses oneDNN's LSTM.
        with torch.set_grad_enabled("gradients" in case.check or case.has_direction):
            program = self.export(module, built["input"], state, (of_input, tuple(of_state) or None))
        if case.saved:
            file = io.BytesIO()
            torch.export.save(program, file)
            file.seek(0)
            program = torch.export.load(file)
        run = program.module()
        shapes = [[_known(axis) for axis in node.meta["val"].shape] for node in program.graph.output_node().args[0]]

        def record(_module: Any, _arguments: Any, results: Any) -> None:
            output, states = results
            for name, shape, tensor in zip(("output", "h_n", "c_n"), shapes, (output, *states), strict=True):
                declared.record_shape(name, shape, tensor.shape)

        run.register_forward_hook(record)
        return run, run

    def export(self, module: Any, inputs: Any, state: Any, shapes: Any = None) -> Any:
        """Returns the exported program for the shapes of an input and a state. It shares the module's parameters.

        Args:
            module: module to export.
            inputs: example input.
            state: example (h_0, c_0), or None.
            shapes: dynamic axes of both; None if all are static.
        """
        import torch

        with _quietly():
            return torch.export.export(module, (inputs, state), dynamic_shapes=shapes)


def _known(axis: Any) -> int | None:
    """Returns the size of an axis of a traced tensor; None if it is dynamic."""
    return axis if isinstance(axis, int) else None


class TorchLSTMDecomposed(TorchLSTMExport):
    """Drives an exported program after ``run_decompositions``.

    The LSTM becomes the Python LSTM of ``torch._decomp``, unrolled over time, with one node per operation.
    """

    name = "torch.nn.LSTM[export,decomposed]"
    path = "torch.export.export(…).run_decompositions().module()"
    onednn = False

    def export(self, module: Any, inputs: Any, state: Any, shapes: Any = None) -> Any:
        """Returns the program of core ATen operators."""
        with _quietly():
            return super().export(module, inputs, state, shapes).run_decompositions()


class TorchLSTMCompiled(TorchLSTM):
    """Drives ``torch.compile`` with one graph for forward and backward.

    The graph is the Python LSTM of ``torch._decomp``, unrolled over time. Dynamo compiles an LSTM only with
    ``allow_rnn``. Without it, the LSTM runs eagerly.
    """

    name = "torch.nn.LSTM[compile,aot_eager]"
    repeats_exactly = False
    backend = "aot_eager"
    path = (
        "torch.compile(backend='aot_eager', fullgraph=True), dynamic=True if calls differ in shape, "
        "torch._dynamo.config.allow_rnn"
    )
    default_tag = "core"

    features = (TorchLSTM.features | models.BUILT) - {"lengths", "forward derivatives", "second derivatives"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchLSTM.lacks,
        "forward derivatives": "torch.func.functional_call cannot replace the parameters of a compiled module",
        "second derivatives": "torch.compile with aot_autograd does not currently support double backward",
        "lengths": "torch.compile(fullgraph=True) cannot guard on the batch sizes of a packed sequence: they depend on "
        "data",
    }

    def solve(self, problem: Problem) -> Solution:
        """Compiles for this problem only, then runs."""
        with compiling():
            return super().solve(problem)

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        import torch

        dynamic = is_time_dynamic(case) or is_batch_dynamic(case)
        return torch.compile(module, backend=self.backend, fullgraph=True, dynamic=dynamic)  # type: ignore[no-any-return]

    def _load(self, problem: Problem) -> tuple[Any, Callable[..., Any]]:
        """Compiles the module. If the case has a built shape, the first call has that shape."""
        module, compiled = super()._load(problem)
        if problem.case.built_seq_len or problem.case.built_batch:
            built = models.built_problem(problem)
            with _torch.quietly():
                run(compiled, built.case, _torch.to_arguments(built, problem.case.dtype, grad=True))
        return module, compiled


class TorchLSTMInductor(TorchLSTMCompiled):
    """Drives the same graph compiled by Inductor to C++, which takes from ten seconds to minutes per case."""

    name = "torch.nn.LSTM[compile,inductor]"
    backend = "inductor"
    # No case has this tag: the default time limit of a case is not always long enough.
    default_tag = "on-demand"
    path = TorchLSTMCompiled.path.replace("aot_eager", "inductor")


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppresses the warnings that torch raises in its own code when it exports an LSTM."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*_flat_weights.*were assigned during export", UserWarning)
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        yield


@contextmanager
def compiling() -> Iterator[None]:
    """Lets Dynamo compile LSTMs, and clears its cache before and after."""
    import torch

    torch._dynamo.reset()
    try:
        with torch._dynamo.config.patch(allow_rnn=True):
            yield
    finally:
        torch._dynamo.reset()

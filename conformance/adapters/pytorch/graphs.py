"""``torch.nn.LSTM`` captured as a graph: ``torch.export`` and ``torch.compile``."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from conformance.adapters.adapter import Solution
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TorchLSTMExport(TorchLSTM):
    """Exported for the case's shapes by ``torch.export``; the graph holds one ``aten::lstm``."""

    name = "torch.nn.LSTM[export]"
    path = "torch.export.export(…).module()"
    default_tag = "core"

    features = TorchLSTM.features - {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.export cannot guard on the batch sizes of a packed sequence, which are data"
    }

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        del case

        def call(inputs: Any, state: Any) -> Any:
            return self.exported(module, inputs, state).module()(inputs, state)

        return call

    def exported(self, module: Any, inputs: Any, state: Any) -> Any:
        """The program for inputs and states like these; it shares the module's parameters."""
        import torch

        with _quietly():
            return torch.export.export(module, (inputs, state))


class TorchLSTMDecomposed(TorchLSTMExport):
    """Exported, and the LSTM in it decomposed: the Python LSTM of ``torch._decomp``, a node for each operation."""

    name = "torch.nn.LSTM[export,decomposed]"
    path = "torch.export.export(…).run_decompositions().module()"

    def exported(self, module: Any, inputs: Any, state: Any) -> Any:
        """The program of core ATen operators, unrolled over time."""
        with _quietly():
            return super().exported(module, inputs, state).run_decompositions()


class TorchLSTMCompiled(TorchLSTM):
    """One graph by ``torch.compile``, forward and backward: the Python LSTM of ``torch._decomp``, unrolled over time.

    Without ``allow_rnn``, Dynamo leaves an LSTM as it is, and nothing would be compiled.
    """

    name = "torch.nn.LSTM[compile,aot_eager]"
    backend = "aot_eager"
    path = "torch.compile(backend='aot_eager', fullgraph=True, dynamic=False), torch._dynamo.config.allow_rnn"
    default_tag = "core"

    features = TorchLSTM.features - {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.compile(fullgraph=True) cannot guard on the batch sizes of a packed sequence, which are data"
    }

    def solve(self, problem: Problem) -> Solution:
        """Compiles for this problem alone, and runs."""
        with compiling():
            return super().solve(problem)

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        import torch

        del case
        return torch.compile(module, backend=self.backend, fullgraph=True, dynamic=False)  # type: ignore[no-any-return]


class TorchLSTMInductor(TorchLSTMCompiled):
    """The same graph through Inductor, which writes C++ for it: from ten seconds to minutes for a case."""

    name = "torch.nn.LSTM[compile,inductor]"
    backend = "inductor"
    # No case has this tag: the time that a case may take by default is not always enough.
    default_tag = "on-demand"
    path = TorchLSTMCompiled.path.replace("aot_eager", "inductor")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what torch warns of in its own code when it exports an LSTM."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*_flat_weights.*were assigned during export", UserWarning)
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        yield


@contextmanager
def compiling() -> Iterator[None]:
    """With LSTMs compiled, and with nothing compiled before or left behind."""
    import torch

    torch._dynamo.reset()
    try:
        with torch._dynamo.config.patch(allow_rnn=True):
            yield
    finally:
        torch._dynamo.reset()

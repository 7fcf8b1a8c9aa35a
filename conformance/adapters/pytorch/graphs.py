"""``torch.nn.LSTM`` captured as a graph by ``torch.export`` and ``torch.compile``."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from conformance.adapters.adapter import Solution
from conformance.adapters.pytorch.lstm import USES, TorchLSTM
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TorchLSTMExport(TorchLSTM):
    """Drives a program exported by ``torch.export`` for the case's shapes. Its graph holds one ``aten::lstm``."""

    name = "torch.nn.LSTM[export]"
    path = "torch.export.export(…).module()"
    default_tag = "core"

    features = TorchLSTM.features - USES - {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.export cannot guard on the batch sizes of a packed sequence: they depend on data"
    }

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        del case

        def call(inputs: Any, state: Any) -> Any:
            return self.export(module, inputs, state).module()(inputs, state)

        return call

    def export(self, module: Any, inputs: Any, state: Any) -> Any:
        """Returns the exported program for the shapes of an input and a state. It shares the module's parameters."""
        import torch

        with _quietly():
            return torch.export.export(module, (inputs, state))


class TorchLSTMDecomposed(TorchLSTMExport):
    """Drives an exported program after ``run_decompositions``.

    The LSTM becomes the Python LSTM of ``torch._decomp``, unrolled over time, with one node per operation.
    """

    name = "torch.nn.LSTM[export,decomposed]"
    path = "torch.export.export(…).run_decompositions().module()"

    def export(self, module: Any, inputs: Any, state: Any) -> Any:
        """Returns the program of core ATen operators."""
        with _quietly():
            return super().export(module, inputs, state).run_decompositions()


class TorchLSTMCompiled(TorchLSTM):
    """Drives ``torch.compile`` with one graph for forward and backward.

    The graph is the Python LSTM of ``torch._decomp``, unrolled over time. Dynamo compiles an LSTM only with
    ``allow_rnn``. Without it, the LSTM runs eagerly.
    """

    name = "torch.nn.LSTM[compile,aot_eager]"
    backend = "aot_eager"
    path = "torch.compile(backend='aot_eager', fullgraph=True, dynamic=False), torch._dynamo.config.allow_rnn"
    default_tag = "core"

    features = TorchLSTM.features - USES - {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.compile(fullgraph=True) cannot guard on the batch sizes of a packed sequence: they depend on "
        "data"
    }

    def solve(self, problem: Problem) -> Solution:
        """Compiles for this problem only, then runs."""
        with compiling():
            return super().solve(problem)

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        import torch

        del case
        return torch.compile(module, backend=self.backend, fullgraph=True, dynamic=False)  # type: ignore[no-any-return]


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

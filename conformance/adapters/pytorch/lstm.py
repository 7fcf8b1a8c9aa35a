"""``torch.nn.LSTM``, called eagerly on the CPU."""

import io
from collections.abc import Callable, Mapping, Set
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

from conformance.adapters import graph, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch import parameters as _parameters
from conformance.adapters.pytorch.dropout import recover_mask
from conformance.adapters.pytorch.earlier import make_calls
from conformance.adapters.pytorch.module import build_module, functional_call, load_parameters, run
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors

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
        return {f"l{layer}": recover_mask(problem, layer) for layer in range(case.num_layers - 1)}

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


def refuse_graph(case: Case) -> str | None:
    """Returns the reason why no module of ``two_calls`` takes the arguments of a case; None if one does."""
    if case.graph != "single" and case.lengths is not None:
        return "the graph takes tensors, not packed sequences"
    return None

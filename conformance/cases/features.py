"""Features of a case: properties beyond one plain forward layer.

Reports group results by feature, and adapters declare the features that they support.
"""

from conformance.cases.case import Case
from conformance.cases.uses import RESULTS

DTYPES = ("float64", "float32", "float16", "bfloat16")

USES = (
    "one state given",
    "partial loss",
    "frozen",
    "built for another length",
    "built for another batch",
    "chunks",
    "repeated call",
    "after other lengths",
    "after other batches",
    "after the other mode",
    "after no-grad",
    "after an error",
    "after other weights",
    "saved",
    "strided memory",
    "expanded states",
    "aliased states",
    "read-only memory",
    "rows alone",
    "rows permuted",
    "twice in a graph",
    "encoder and decoder",
    "two in parallel",
    "other threads",
    "forward derivatives",
    "second derivatives",
    "empty sequence",
    "empty batch",
    "wrong input",
    "wrong dtype",
    "wrong state",
    "wrong layers of a state",
    "wrong lengths",
    "wrong weight",
)
"""Features that are ways of using an LSTM, beyond one call of a fresh object with contiguous, correct arrays."""

ADDED = (*USES, "sizes per direction")
"""Features that were added to the first version of the worker protocol. A program may not know their options."""

FEATURES = (
    "layers",
    "sizes per layer",
    "bidirectional",
    "sizes per direction",
    "reverse",
    "lengths",
    "projection",
    "dropout",
    "no bias",
    "unbatched",
    "batch first",
    "state omitted",
    "peepholes",
    "coupled gates",
    "activations",
    "activations per direction",
    "clip",
    "cell clip",
    "forget bias",
    "left mask",
    "holed mask",
    "input dropout",
    "recurrent dropout",
    "gradients",
    *USES,
    *DTYPES,
)
"""All features, in the order of reports."""


def features(case: Case) -> list[str]:
    """Returns the features of a case, in the order of ``FEATURES``."""
    has = {
        "layers": case.num_layers > 1,
        "sizes per layer": len(set(case.hidden_sizes)) > 1,
        "bidirectional": case.direction == "bidirectional",
        "sizes per direction": case.reverse_hidden_size is not None,
        "reverse": case.direction == "reverse",
        "lengths": case.lengths is not None,
        "projection": case.proj_size > 0,
        "dropout": case.dropout > 0,
        "no bias": not case.bias,
        "unbatched": case.rows is None,
        "batch first": case.batch_first,
        "state omitted": not case.gives_state,
        "peepholes": case.peepholes,
        "coupled gates": case.coupled_gates,
        "activations": case.activations != Case.model_fields["activations"].default,
        "activations per direction": case.activations[:3] != case.activations[-3:],
        "clip": case.clip is not None,
        "cell clip": case.cell_clip is not None,
        "forget bias": case.forget_bias != 0,
        "left mask": case.mask == "left",
        "holed mask": case.mask == "holed",
        "input dropout": case.input_dropout > 0,
        "recurrent dropout": case.recurrent_dropout > 0,
        "gradients": "gradients" in case.check,
        **dict.fromkeys(used(case), True),
        case.dtype: True,
    }
    return [feature for feature in FEATURES if has.get(feature)]


_MEMORY = {
    "strided": "strided memory",
    "expanded": "expanded states",
    "aliased": "aliased states",
    "read-only": "read-only memory",
}
_EARLIER_CALLS = {
    "same": "repeated call",
    "longer": "after other lengths",
    "shorter": "after other lengths",
    "more-rows": "after other batches",
    "fewer-rows": "after other batches",
    "other-mode": "after the other mode",
    "no-grad": "after no-grad",
    "error": "after an error",
    "other-weights": "after other weights",
}


_MISTAKES = {
    "input-features": "wrong input",
    "input-axes": "wrong input",
    "input-dtype": "wrong dtype",
    "h_0-layers": "wrong layers of a state",
    "c_0-layers": "wrong layers of a state",
    "h_0-rows": "wrong state",
    "c_0-rows": "wrong state",
    "h_0-units": "wrong state",
    "c_0-units": "wrong state",
    "lengths-above": "wrong lengths",
    "lengths-negative": "wrong lengths",
    "weight-transposed": "wrong weight",
}


def used(case: Case) -> list[str]:
    """Returns the features of a case that are uses."""
    has = {
        "one state given": len(case.given_states) == 1,
        "partial loss": len(case.cotangents) < len(RESULTS),
        "frozen": bool(case.frozen),
        "built for another length": case.built_seq_len is not None,
        "built for another batch": case.built_batch is not None,
        "chunks": bool(case.chunks),
        "saved": case.saved,
        "rows alone": case.batching == "alone",
        "rows permuted": case.batching == "permuted",
        "twice in a graph": case.graph == "twice",
        "encoder and decoder": case.graph == "encoder-decoder",
        "two in parallel": case.graph == "parallel",
        "other threads": case.threads is not None,
        "forward derivatives": "jvp" in case.check,
        "second derivatives": "hvp" in case.check,
        "empty sequence": case.seq_len == 0,
        "empty batch": case.num_rows == 0,
    }
    words = [_EARLIER_CALLS[word] for word in case.earlier_calls]
    memory = [_MEMORY[case.memory]] if case.memory in _MEMORY else []
    mistake = [_MISTAKES[case.refuses]] if case.refuses else []
    return [*(feature for feature, present in has.items() if present), *words, *memory, *mistake]


LACKS: dict[str, str] = {
    "layers": "has a single layer",
    "sizes per layer": "has one hidden size for all layers",
    "bidirectional": "has no bidirectional layers",
    "sizes per direction": "is driven with one hidden size for both directions",
    "reverse": "has no reverse-only direction",
    "lengths": "has no lengths",
    "projection": "has no projection",
    "dropout": "has no dropout between layers",
    "no bias": "always has biases",
    "unbatched": "needs a batch axis",
    "state omitted": "needs an initial state",
    "gradients": "has no gradients",
    "peepholes": "has no peepholes",
    "coupled gates": "has no coupled input and forget gates",
    "activations": "has fixed activations",
    "activations per direction": "has the same activations in both directions",
    "clip": "does not clip the inputs of activations",
    "cell clip": "does not clip the cell state",
    "forget bias": "has no additional forget bias",
    "left mask": "has no masks",
    "holed mask": "has no masks",
    "input dropout": "has no dropout on a layer's input",
    "recurrent dropout": "has no recurrent dropout",
    "one state given": "needs both h_0 and c_0, or neither",
    "partial loss": "is not driven with a loss that reads only some results",
    "frozen": "is not driven with frozen parameters",
    "built for another length": "is not built for a sequence length",
    "built for another batch": "is not built for a batch size",
    "chunks": "is not driven in pieces",
    "repeated call": "is not driven repeatedly",
    "after other lengths": "is not driven with other lengths first",
    "after other batches": "is not driven with other batches first",
    "after the other mode": "is not driven in both modes",
    "after no-grad": "is not driven without gradients first",
    "after an error": "is not driven after an error",
    "after other weights": "is not driven with other weights first",
    "saved": "is not driven from a file",
    "strided memory": "is not driven with strided arrays",
    "expanded states": "is not driven with broadcast states",
    "aliased states": "is not driven with one array for h_0 and c_0",
    "read-only memory": "is not driven with read-only arrays",
    "rows alone": "is not driven row by row",
    "rows permuted": "is not driven with permuted rows",
    "twice in a graph": "is not driven twice in one graph",
    "encoder and decoder": "is not driven as encoder and decoder in one graph",
    "two in parallel": "is not driven twice on one input in one graph",
    "other threads": "is not driven with a given number of threads",
    "forward derivatives": "is not driven in forward-mode differentiation",
    "second derivatives": "is not differentiated twice",
    "empty sequence": "is not driven without time steps",
    "empty batch": "is not driven without rows",
    "wrong input": "is not driven with an input of a wrong shape",
    "wrong dtype": "is not driven with an input of a wrong dtype",
    "wrong state": "is not driven with a state of a wrong shape",
    "wrong layers of a state": "is not driven with a state that lacks a layer",
    "wrong lengths": "is not driven with wrong lengths",
    "wrong weight": "is not driven with a weight of a wrong shape",
}
"""Descriptions of an implementation that lacks a feature, to follow the implementation's name."""


def lack(feature: str) -> str:
    """Describes an implementation that lacks a feature, to follow the implementation's name."""
    return LACKS.get(feature, f"is not driven in {feature}" if feature in DTYPES else f"has no {feature}")

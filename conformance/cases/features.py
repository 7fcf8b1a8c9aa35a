"""Features of a case: properties beyond one plain forward layer.

Reports group results by feature, and adapters declare the features that they support.
"""

from conformance.cases.case import Case

DTYPES = ("float64", "float32", "float16", "bfloat16")

FEATURES = (
    "layers",
    "sizes per layer",
    "bidirectional",
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
    *DTYPES,
)
"""All features, in the order of reports."""


def features(case: Case) -> list[str]:
    """Returns the features of a case, in the order of ``FEATURES``."""
    has = {
        "layers": case.num_layers > 1,
        "sizes per layer": not case.model.is_uniform,
        "bidirectional": case.direction == "bidirectional",
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
        case.dtype: True,
    }
    return [feature for feature in FEATURES if has.get(feature)]


LACKS: dict[str, str] = {
    "layers": "has a single layer",
    "sizes per layer": "has one hidden size for all layers",
    "bidirectional": "has no bidirectional layers",
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
}
"""Descriptions of an implementation that lacks a feature, to follow the implementation's name."""


def lack(feature: str) -> str:
    """Describes an implementation that lacks a feature, to follow the implementation's name."""
    return LACKS.get(feature, f"is not driven in {feature}" if feature in DTYPES else f"has no {feature}")

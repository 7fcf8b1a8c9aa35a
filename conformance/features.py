"""The features by which results are summed up: what a case has beyond one plain forward layer."""

from conformance.case import Case

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
    "gradients",
    "float64",
    "float32",
    "float16",
    "bfloat16",
)
"""In the order in which they are shown. A feature that no case has is not shown."""


def features(case: Case) -> list[str]:
    """The features of a case, in the order of ``FEATURES``."""
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
        "gradients": "gradients" in case.check,
        case.dtype: True,
    }
    return [feature for feature in FEATURES if has.get(feature)]

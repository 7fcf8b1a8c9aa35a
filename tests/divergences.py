"""Known divergences for tests of the code that uses them."""

from typing import Any

from conformance.known.divergences import Divergence


def make_divergence(**options: Any) -> Divergence:
    """Returns an entry for all implementations. By default, ``h_n`` and the gradients deviate in float32."""
    values: dict[str, Any] = {
        "id": "one",
        "implementation": "*",
        "package": "numpy",
        "versions": ">=1",
        "cases": {"dtype": "float32"},
        "tensors": ["h_n", "grad.*"],
        "what": "It flips signs.",
        "reason": "unknown",
        "upstream": "none as of 2026-11",
        "reproduction": "none.py",
    }
    return Divergence.model_validate(values | options)

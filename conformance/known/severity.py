"""Severity of a divergence: how much it harms a user who does not know it."""

from typing import Literal, get_args

from conformance.known.divergences import Divergence

Severity = Literal[
    "silently wrong result or gradient",
    "crash",
    "wrong argument accepted",
    "documented option refused",
    "less precise than requested",
    "NaN semantics",
]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""All severities, the worst first."""


def severity(entry: Divergence) -> Severity:
    """Returns the severity of a divergence, from the inputs that it needs and the way in which it shows."""
    if entry.accepts:
        return "wrong argument accepted"
    if not entry.tensors:
        return "crash" if entry.ends_process else "documented option refused"
    if entry.nan or entry.cases.get("padding") == "nan" or entry.cases.get("input_nan"):
        return "NaN semantics"
    if entry.profile or entry.error_ratio or any(defect.endswith("-in-float32") for defect in entry.defects):
        return "less precise than requested"
    return "silently wrong result or gradient"

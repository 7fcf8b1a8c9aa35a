"""Negative controls: broken implementations that every run puts through its own path. One that passes voids the run."""

from collections.abc import Iterable
from pathlib import Path

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect, solve
from conformance.run.runner import RefusedCaseError, Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, round_to
from reference import Dialect

DEFECTS = ("gates-read-iofg", "bias_hh-ignored", "grad-ignores-h_n")
"""What the controls are broken by: the weights, the biases, the way back."""

CASE = Case(
    name="control",
    input_size=3,
    hidden_size=4,
    num_layers=2,
    direction="bidirectional",
    seq_len=3,
    batch=2,
    lengths=None,
)
"""The case that they run: small, with everything to be seen that they do wrong."""


class Control(Adapter):
    """The reference with a defect, rounded as the case's dtype is."""

    name = "control"

    def __init__(self, defect: Defect) -> None:
        self.defect = defect

    def supports(self, case: Case) -> str | None:
        """Any case to which the defect applies."""
        return None if self.defect.concerns(case) else f"{self.defect.id} is no defect here"

    def solve(self, problem: Problem) -> Solution:
        """What an LSTM with the defect answers."""
        exact = solve(self.defect, problem, Dialect())
        return {name: round_to(problem.case.dtype, array) for name, array in exact.items()}


def run(folder: Path | None, defects: Iterable[Defect] | None = None) -> dict[str, str]:
    """Runs the controls through the path that implementations take.

    Args:
        folder: the oracle's cache; None for none.
        defects: other ones than the usual.

    Returns:
        The status of each control, by its defect's id. Anything but ``fail`` voids the run.
    """
    by_id = {defect.id: defect for defect in CATALOGUE}
    runner = Runner(Oracle(folder), diagnoses=False)
    chosen = [by_id[name] for name in DEFECTS] if defects is None else list(defects)

    def status(defect: Defect) -> str:
        try:
            return runner.check(CASE, Control(defect)).status
        except RefusedCaseError:
            return "not-run"

    return {defect.id: status(defect) for defect in chosen}


def verdict(statuses: dict[str, str]) -> str:
    """Why a run is void, in a line; empty when it is not."""
    missed = [name for name, status in statuses.items() if status != "fail"]
    if not missed:
        return ""
    names = ", ".join(missed)
    return f"INVALID: the run did not detect the negative controls {names}. None of its results can be trusted"

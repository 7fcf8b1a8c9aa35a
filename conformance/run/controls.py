"""Negative controls: broken implementations that every run checks. A run that passes one of them is invalid."""

from collections.abc import Iterable
from pathlib import Path

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import Dialect

DEFECTS = ("gates-read-iofg", "bias_hh-ignored", "grad-ignores-h_n")
"""Ids of the controls' defects. They concern the weights, the biases and the backward pass."""

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
"""A small case that detects all of these defects."""


class Control(Adapter):
    """The reference with a defect, rounded to the case's dtype."""

    name = "control"

    def __init__(self, defect: Defect) -> None:
        self.defect = defect

    def supports(self, case: Case) -> str | None:
        """Returns a reason if the defect does not apply to the case."""
        return None if self.defect.applies_to(case) else f"{self.defect.id} does not apply"

    def solve(self, problem: Problem) -> Solution:
        """Returns the solution of an LSTM with the defect."""
        exact = solve(self.defect, problem, Dialect())
        return {name: round_to(problem.case.dtype, array) for name, array in exact.items()}


def run(folder: Path | None, defects: Iterable[Defect] | None = None) -> dict[str, str]:
    """Runs the controls through the same code as any implementation.

    Args:
        folder: cache of the oracle; None for no cache.
        defects: defects of the controls, by default those of ``DEFECTS``.

    Returns:
        The status of each control, by its defect's id. Any status but ``fail`` makes the run invalid.
    """
    by_id = {defect.id: defect for defect in CATALOGUE}
    runner = Runner(Oracle(folder), diagnoses=False)
    chosen = [by_id[name] for name in DEFECTS] if defects is None else list(defects)
    return {defect.id: runner.check(CASE, Control(defect)).status for defect in chosen}

"""Diagnoses failures with the catalogue of defects, and keeps those that experiments are to explain."""

import time
from dataclasses import replace

from conformance.adapters import Adapter
from conformance.cases.size import operations
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.diagnose import diagnose, rounds_only_as
from conformance.defects.diagnosis.locate import locate
from conformance.defects.diagnosis.shrink import MAX_OPERATIONS
from conformance.results.record import Result
from conformance.run import explaining, smaller
from conformance.run.failures import Failure
from conformance.verdict.judged import JudgedSolution

UNEXPLAINED_CPU_SECONDS = 20.0
"""CPU time to spend on failures without a diagnosis, per implementation. Pairs of defects are not tried after that."""


class Diagnoser:
    """Diagnoses the failures of implementations. What it found for one failure, it tries first for the next one.

    Args:
        explains_all: whether failures with a diagnosis are kept for experiments, too.
    """

    def __init__(self, explains_all: bool) -> None:
        self._explains_all = explains_all
        self._suspects: dict[str, list[Defect]] = {}
        self._seconds: dict[str, float] = {}
        self._unexplained: dict[str, list[Failure]] = {}

    def take_unexplained(self, implementation: str) -> list[Failure]:
        """Returns the failures of an implementation for experiments, and forgets them."""
        return self._unexplained.pop(implementation, [])

    def diagnose(
        self, result: Result, adapter: Adapter, judged: JudgedSolution, variant: smaller.SmallerFailure | None
    ) -> Result:
        """Diagnoses a failure, at the sizes of a smaller variant if there is one."""
        if variant is None and operations(judged.problem.case) > MAX_OPERATIONS:
            where = locate(adapter, judged)
            return replace(result, diagnosis=f"unexplained: {smaller.TOO_LARGE}" + (f"; {where}" if where else ""))
        exact = rounds_only_as(adapter.profile(judged.problem.case), judged.problem.case.dtype)
        judged = variant.judged if variant else judged
        name = result.implementation
        suspects = self._suspects.setdefault(name, [])
        spent = self._seconds.get(name, 0.0)
        start = time.process_time()
        diagnosis = diagnose(judged, CATALOGUE, suspects, pairs=spent < UNEXPLAINED_CPU_SECONDS, exact=exact)
        if diagnosis is None:
            return result
        found = [cause.defect for cause in diagnosis.causes]
        suspects += [defect for defect in found if defect.id not in {suspect.id for suspect in suspects}]
        text = f"{variant.shrunk}: {diagnosis}" if variant else str(diagnosis)
        if not found:
            where = locate(adapter, judged)
            text += f"; {where}" if where else ""
            self._seconds[name] = spent + time.process_time() - start
        case = judged.problem.case
        explains = operations(case) <= explaining.MAX_OPERATIONS
        if (self._explains_all or not found) and explains:
            self._unexplained.setdefault(name, []).append(Failure(result.key, judged))
        return replace(result, diagnosis=text, causes={defect.id: defect.what for defect in found})

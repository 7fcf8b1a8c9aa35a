"""Synthetic results for benchmarks, with realistic distributions of statuses, tensors and features."""

from pathlib import Path
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.power.bitmasks import IDS
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.reader import Report
from conformance.results.record import Result, Status
from conformance.run.runner import blank
from conformance.verdict.comparison import Comparison
from conformance.verdict.evidence import evidence
from conformance.verdict.problem import make_problem

IMPLEMENTATIONS = 40
"""Number of implementations in a synthetic run."""
_SHARES: dict[Status, float] = {"pass": 0.76, "unsupported": 0.18, "known": 0.03, "fail": 0.02, "error": 0.01}
"""Share of each status."""


def report(amount: int, seed: int = 0) -> Report:
    """Returns the report of a complete run.

    Args:
        amount: number of results, rounded down to a multiple of ``IMPLEMENTATIONS``.
        seed: seed of the random values.
    """
    random = np.random.default_rng(seed)
    names = [f"family{place // 4}.layers.LSTM[backend-{place % 4}]" for place in range(IMPLEMENTATIONS)]
    shipped = load_all([shipped_cases()])
    cases = [_copy(shipped[place % len(shipped)], place) for place in range(amount // IMPLEMENTATIONS)]
    tensors = {case.key: tuple(make_problem(case).expected_shapes()) for case in shipped}
    masks = [int.from_bytes(random.bytes(len(IDS) // 8), "big") for _ in range(len(cases) // 3 + 1)]
    results: list[Result] = []
    for name in names:
        for place, case in enumerate(cases):
            status = str(random.choice(list(_SHARES), p=list(_SHARES.values())))
            of = tensors[shipped[place % len(shipped)].key]
            results.append(_result(random, case, name, status, of, masks[place // 3]))  # type: ignore[arg-type]
    planned = dict.fromkeys(names, len(cases))
    packages = {name: {"framework": "1.2.3", "backend": "4.5"} for name in names}
    header = Header(planned=planned, packages=packages, defects=IDS, controls={"gates-swapped": "fail"}).stamped()
    described = {name: {"device": "cpu", "threads": "1", "gradients": "its own"} for name in names}
    return Report(Path("synthetic.jsonl"), header, described, tuple(results), Footer.of(results))


def _copy(case: Case, place: int) -> Case:
    """Returns a case with a unique name."""
    return case.model_copy(update={"name": f"{case.name}-{place}", "line": place})


def _result(
    random: np.random.Generator, case: Case, name: str, status: Status, tensors: tuple[str, ...], mask: int
) -> Result:
    draft = blank(case, name, status)
    values: dict[str, Any] = {"seconds": {"solve": float(random.exponential(0.01)), "judging": 0.001}}
    if status == "unsupported":
        values["reason"] = f"{name} has no {random.choice(['lengths', 'projection', 'dropout', 'reverse direction'])}"
    elif status == "error":
        values["reason"] = f"RuntimeError: no kernel for {case.dtype}"
        values["traceback"] = (
            f"Traceback (most recent call last):\n  File 'kernel.py', line {case.line}\nRuntimeError\n"
        )
    else:
        error_ratios = np.exp(random.normal(-2.5, 0.8, len(tensors))).clip(0, 0.99)
        if status != "pass":
            error_ratios[: 1 + random.integers(4)] = 10 ** random.uniform(1, 7)
        values["tensors"] = dict(zip(tensors, error_ratios.tolist(), strict=True))
        values["error_ratio"] = float(error_ratios.max())
    if status == "pass":
        values |= {"detects": mask.bit_count(), "detected": f"{mask:x}"}
    if status == "known":
        values["reason"] = "keras-nan-in-padding: NaN in masked steps of the input reaches the gradients."
    if status in ("fail", "known"):
        values["details"] = {tensors[0]: _detail(random, tensors[0])}
    if status == "fail":
        values["reason"] = values["details"][tensors[0]]["reason"]
        values["diagnosis"] = "behaves exactly like an LSTM whose gates are read i, o, f, g (7 of 7 tensors)"
        values["causes"] = {"gates-read-iofg": "whose gates are read i, o, f, g"}
    return Result(**{**{name: getattr(draft, name) for name in draft.__dataclass_fields__}, **values})


def _detail(random: np.random.Generator, tensor: str) -> dict[str, Any]:
    expected = random.normal(size=(20, 3, 8))
    got = (expected + 10 ** random.uniform(-9, -2, expected.shape)).astype(np.float32).astype(float)
    budget = np.full(expected.shape, 1e-6)
    error_ratios = np.abs(got - expected) / budget
    kept = evidence(Comparison(got, expected, budget, 2 * budget), ("step", "row", "unit"), str)
    reason = f"{tensor} is off by {np.abs(got - expected).max():.3g} at step 3, row 1, forward, unit 2"
    return {"reason": reason, "wrong": int((error_ratios > 1).sum()), "of": got.size, "evidence": kept}

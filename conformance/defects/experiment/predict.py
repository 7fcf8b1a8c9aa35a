"""Predictions: the solutions of the reference, changed by rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import RESULTS, BlockMap, apply, apply_adjoint, compose
from conformance.defects.experiment.compute import run
from conformance.defects.experiment.rule import Role, Rule
from conformance.defects.experiment.trial import Trial, tensors_read, with_block
from conformance.verdict.oracle import solve
from conformance.verdict.problem import Problem
from reference import Dialect


def predict(rules: Sequence[Rule], problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Solves a problem with the reference, changed by rules. Returns the tensors that the case compares."""
    case = problem.case
    reads, returns = _merged(rules, "reads", case), _merged(rules, "returns", case)
    cotangents: Mapping[str, Any] = apply(_merged(rules, "cotangents", case).all, problem.complete_cotangents(), case)
    cotangents = apply_adjoint(returns.results(returns.adjoint), cotangents, case)
    read = apply(reads.all, tensors_read(problem), case)
    tangents = apply(reads.all, problem.tangents, case) if problem.tangents else {}
    changed = replace(with_block(problem, read), cotangents=cotangents, tangents=tangents, mask=_mask(rules, problem))
    computations = [rule.computation for rule in rules if rule.computation]
    with np.errstate(all="ignore"):
        found = run(computations, changed, dialect) if computations else solve(changed, dialect)
    for prefix in ("", "jvp."):  # Both are linear in the results.
        found |= _with_prefix(prefix, found, lambda own: apply(returns.results(returns.all), own, case))
    for prefix in ("grad.", "hvp."):
        found |= _with_prefix(prefix, found, lambda own: apply_adjoint(reads.adjoint, own, case))
    moved = {target: terms for target, terms in returns.all.items() if target.kind not in RESULTS}
    found |= apply(moved, found, case)
    return {name: found[name] for name in problem.expected_shapes()}


def _with_prefix(prefix: str, tensors: Mapping[str, Any], change: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the tensors with a prefix, changed by a function of their names without it."""
    own = {name.removeprefix(prefix): array for name, array in tensors.items() if _prefix(name) == prefix}
    return {f"{prefix}{name}": array for name, array in change(own).items()} if own else {}


def _prefix(name: str) -> str:
    return name[: name.find(".") + 1]


def predict_trial(rules: Sequence[Rule], trial: Trial) -> dict[str, Any]:
    """Predicts the results of a trial, see ``predict``."""
    return predict(rules, trial.problem, trial.judged.dialect)


@dataclass(frozen=True)
class _Merged:
    """The maps of all rules with one role, which apply one after the other.

    Attributes:
        all: the map of all these rules.
        adjoint: the map of those whose gradients match.
    """

    all: BlockMap
    adjoint: BlockMap

    @staticmethod
    def results(block_map: BlockMap) -> BlockMap:
        """Returns the part of a map that changes ``output``, ``h_n`` and ``c_n``."""
        return {target: terms for target, terms in block_map.items() if target.kind in RESULTS}


def _merged(rules: Sequence[Rule], role: Role, case: Case) -> _Merged:
    maps = [(rule.adjoint, rule.block_map(case)) for rule in rules if rule.role == role]
    merged: BlockMap = {}
    adjoint: BlockMap = {}
    for follows, block_map in maps:
        merged = compose(merged, block_map)
        if follows:
            adjoint = compose(adjoint, block_map)
    return _Merged(merged, adjoint)


def _mask(rules: Sequence[Rule], problem: Problem) -> NDArray[np.bool_] | None:
    lengths = problem.lengths
    if lengths is None or not any(rule.lengths for rule in rules):
        return problem.mask
    for rule in rules:
        if rule.lengths:
            lengths = rule.lengths(lengths, problem.case)
    return np.asarray(np.arange(problem.case.seq_len)[:, None] < lengths)

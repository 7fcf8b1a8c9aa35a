"""Looks for wrong blocks of the results among the correct values."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from conformance.defects.experiment.blocks import Block, axes, blocks
from conformance.defects.experiment.moves import moves
from conformance.defects.experiment.rule import Rule, Scope
from conformance.defects.experiment.trial import Trial

_ROUNDINGS = 1e-12
"""Relative tolerance of a tensor whose budget is 0."""


def find_returned(trial: Trial, kind: str, expected: Mapping[str, Any]) -> Rule | None:
    """Returns the rule by which the tensors of a kind are taken from correct values; None if there is none.

    Args:
        trial: the solution.
        kind: kind of the wrong tensors.
        expected: the correct values of all tensors.
    """
    case, got = trial.case, trial.observation.got
    wrong = wrong_blocks(trial, kind, expected)
    for scope in scopes_of(wrong):
        for move in moves(kind, case):
            rule = Rule("returns", (kind,), move, scope)
            block_map = rule.block_map(case)
            if not wrong <= block_map.keys():
                continue
            if any(source.tensor not in expected for terms in block_map.values() for source, _ in terms):
                continue
            if all(
                _is_near(
                    trial,
                    target,
                    target.select(got, case),
                    sum(f * source.select(expected, case) for source, f in terms),
                )
                for target, terms in block_map.items()
            ):
                return rule
    return None


def wrong_blocks(trial: Trial, kind: str, expected: Mapping[str, Any]) -> set[Block]:
    """Returns the blocks of a kind that differ from expected values."""
    case, got = trial.case, trial.observation.got
    return {
        block
        for block in blocks(kind, case)
        if not _is_near(trial, block, block.select(got, case), block.select(expected, case))
    }


def scopes_of(found: Iterable[Block]) -> Iterator[Scope]:
    """Yields the scopes that contain some blocks, the widest first."""
    found = list(found)
    if not found:
        return
    shared = [
        (axis, getattr(found[0], axis))
        for axis in axes(found[0].kind)
        if len({getattr(block, axis) for block in found}) == 1
    ]
    for size in range(len(shared) + 1):
        yield from combinations(shared, size)


def _is_near(trial: Trial, block: Block, got: Any, value: Any) -> bool:
    name = block.tensor
    size = float(np.abs(trial.observation.values[name]).max())
    tolerance = trial.tolerance(name) or _ROUNDINGS * size
    growth = max(1.0, float(np.abs(value).max(initial=0.0)) / size) if size else 1.0
    return bool((np.abs(got - value) <= tolerance * growth).all())

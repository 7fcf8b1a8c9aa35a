"""Looks for wrong blocks of the results among the correct values."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from conformance.defects.experiment.blocks import RESULTS, Block, blocks, describe_block, returned_kinds, tensors_of
from conformance.defects.experiment.move import Move, Terms, unit_moves
from conformance.defects.experiment.moves import moves
from conformance.defects.experiment.places import UNIT, place_of_values, scopes_of
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Trial

_ROUNDINGS = 1e-12
"""Relative tolerance of a tensor whose budget is 0."""
_MAX_TABLE = 4
"""Number of wrong blocks up to which each is looked for on its own."""


def find_returned(trial: Trial, kind: str, expected: Mapping[str, Any]) -> Rule | None:
    """Returns the rule by which the tensors of a kind are taken from correct values; None if there is none.

    Args:
        trial: the solution.
        kind: kind of the wrong tensors.
        expected: the correct values of all tensors.
    """
    case = trial.case
    wrong = wrong_blocks(trial, kind, expected)
    for scope in scopes_of(wrong, case):
        rules = (Rule("returns", (kind,), move, scope) for move in moves(kind, case))
        if found := next((rule for rule in rules if _is_returned(trial, rule, wrong, expected)), None):
            return found
    return _from_units(trial, kind, wrong, expected) or _from_table(trial, kind, wrong, expected)


def _is_returned(trial: Trial, rule: Rule, wrong: set[Block], expected: Mapping[str, Any]) -> bool:
    """Returns whether a rule changes all wrong blocks, and predicts the values of all blocks that it changes."""
    case, got = trial.case, trial.observation.got
    block_map = rule.block_map(case)
    if not wrong <= block_map.keys():
        return False
    if any(source.tensor not in expected for terms in block_map.values() for source, _ in terms):
        return False
    return all(
        _is_near(trial, target, target.select(got, case), sum(f * source.select(expected, case) for source, f in terms))
        for target, terms in block_map.items()
    )


def _from_units(trial: Trial, kind: str, wrong: set[Block], expected: Mapping[str, Any]) -> Rule | None:
    """Returns a rule about units within blocks, or with a factor that fits the values."""
    case, got = trial.case, trial.observation.got
    if not wrong:
        return None
    one = max(wrong, key=describe_block)
    count = one.width(case)[0]
    differing = [
        unit
        for unit in range(count)
        if any(
            block.width(case)[0] == count
            and not _is_near(trial, block, block.select(got, case)[unit], block.select(expected, case)[unit])
            for block in wrong
        )
    ]
    factor = _fitted_factor(trial, one, differing, expected)
    scaled = Move(f"multiplied by {factor:.6g}", lambda block, _: ((block, factor),))
    some = place_of_values(UNIT, differing, count) if differing else None
    for scope in scopes_of(wrong, case):
        rules = [Rule("returns", (kind,), move, scope) for move in (scaled, *unit_moves(count))]
        rules += [Rule("returns", (kind,), move, (*scope, some)) for move in (*moves(kind, case), scaled) if some]
        if found := next((rule for rule in rules if _is_returned(trial, rule, wrong, expected)), None):
            return found
    return None


def _fitted_factor(trial: Trial, block: Block, units: Sequence[int], expected: Mapping[str, Any]) -> float:
    """Returns the factor, to six digits, by which the expected values of a block are multiplied."""
    value, got = (block.select(tensors, trial.case)[units] for tensors in (expected, trial.observation.got))
    size = float(np.square(value).sum())
    return float(f"{float((got * value).sum()) / size:.6g}") if size else 0.0


def _from_table(trial: Trial, kind: str, wrong: set[Block], expected: Mapping[str, Any]) -> Rule | None:
    """Returns a rule that takes each of a few wrong blocks from another block, or from the sum of two."""
    if not 0 < len(wrong) <= _MAX_TABLE:
        return None
    table = {}
    for block in sorted(wrong, key=describe_block):
        terms = _find_block(trial, block, expected)
        if terms is None:
            return None
        table[block] = terms
    words = "; ".join(f"{describe_block(block)} is {_describe_terms(terms)}" for block, terms in table.items())
    return Rule("returns", (kind,), Move(f"in the wrong places ({words})", lambda block, _: table.get(block)))


def _find_block(trial: Trial, block: Block, expected: Mapping[str, Any]) -> Terms | None:
    """Returns the block of any tensor, or the sum of two, whose value is in the place of a wrong block."""
    case, got = trial.case, block.select(trial.observation.got, trial.case)
    kinds = returned_kinds(case) if block.kind not in RESULTS else RESULTS
    pool = [
        other
        for kind in kinds
        for other in (blocks(kind, case) if all(name in expected for name in tensors_of(kind, case)) else ())
        if other.width(case) == block.width(case)
    ]
    for other in pool:
        if other != block and _is_near(trial, block, got, other.select(expected, case)):
            return ((other, 1.0),)
    for first, second in combinations(pool, 2):
        if _is_near(trial, block, got, first.select(expected, case) + second.select(expected, case)):
            return (first, 1.0), (second, 1.0)
    return None


def _describe_terms(terms: Terms) -> str:
    return " plus ".join(describe_block(block) for block, _ in terms)


def wrong_blocks(trial: Trial, kind: str, expected: Mapping[str, Any]) -> set[Block]:
    """Returns the blocks of a kind that differ from expected values."""
    case, got = trial.case, trial.observation.got
    return {
        block
        for block in blocks(kind, case)
        if not _is_near(trial, block, block.select(got, case), block.select(expected, case))
    }


def _is_near(trial: Trial, block: Block, got: Any, value: Any) -> bool:
    name = block.tensor
    size = float(np.abs(trial.observation.values[name]).max())
    tolerance = trial.tolerance(name) or _ROUNDINGS * size
    growth = max(1.0, float(np.abs(value).max(initial=0.0)) / size) if size else 1.0
    return bool((np.abs(got - value) <= tolerance * growth).all())

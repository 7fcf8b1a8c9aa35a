"""Changes one block at a time of what an implementation reads, and compares the response with the reference's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import RESULTS, Block, axes, blocks, describe_block, read_kinds
from conformance.defects.experiment.move import Move, unit_moves
from conformance.defects.experiment.moves import ZEROS, moves
from conformance.defects.experiment.places import UNIT, Place, scopes_of, simple_scopes
from conformance.defects.experiment.rule import Role, Rule, axes_of
from conformance.defects.experiment.trial import Subject, Trial, tensors_read, with_block
from conformance.verdict.oracle import solve
from conformance.verdict.random_arrays import round_to

_GOT_TOLERANCES = 4.0
"""Change of a result, in tolerances, from which it responds."""
_EXPECTED_TOLERANCES = 1000.0
"""Change of the reference's result, in tolerances, from which a result must respond."""


@dataclass(frozen=True)
class Response:
    """The results that respond to a change of one block.

    Attributes:
        block: the block that changed.
        must: blocks that clearly respond in the reference.
        must_not: blocks that do not respond in the reference at all.
        moved: blocks that respond in the implementation.
        is_cotangent: whether the block is one of a cotangent.
    """

    block: Block
    must: frozenset[Block]
    must_not: frozenset[Block]
    moved: frozenset[Block]
    is_cotangent: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether nothing responds, although something must."""
        return bool(self.must) and not self.moved

    @property
    def is_wrong(self) -> bool:
        """Whether a block responds that must not, or does not respond although it must."""
        return bool(self.must - self.moved or self.moved & self.must_not)

    def __str__(self) -> str:
        name = describe_block(self.block)
        if self.is_cotangent:
            name = f"the cotangent of {name}"
        if self.is_silent:
            return f"{name} has no effect"
        if not self.must and self.moved:
            return f"{name} must not be read, but acts on {_summary(self.moved)}"
        if extra := self.moved & self.must_not:
            return f"{name} acts on {_summary(extra)}, which must not depend on it"
        return f"{name} does not act on {_summary(self.must - self.moved)}"


def respond(subject: Subject, trial: Trial) -> list[Response]:
    """Changes each block alone and returns the responses."""
    case = trial.case
    responses = [_response(subject, trial, block, False) for kind in read_kinds(case) for block in blocks(kind, case)]
    if "gradients" in case.check:
        specified = trial.problem.specified_steps(trial.judged.dialect)
        responses += [
            _response(subject, trial, block, True)
            for kind in RESULTS
            for block in blocks(kind, case)
            if kind != "output" or specified is None or specified[block.step, block.row]
        ]
    return responses


def suggested_rules(case: Case, responses: Sequence[Response]) -> Iterator[Rule]:
    """Yields the ways in which tensors may be read wrongly, as the responses suggest."""
    responses = [each for each in responses if not each.is_cotangent]
    suspicious = [
        kind for kind in read_kinds(case) if any(each.is_wrong and each.block.kind == kind for each in responses)
    ]
    return _rules("reads", suspicious, case, responses)


def read_rules(case: Case) -> Iterator[Rule]:
    """Yields the ways in which tensors may be read wrongly: those of whole tensors, of blocks, and of units."""
    yield from _rules("reads", read_kinds(case), case, ())
    yield from _rules_about_units("reads", read_kinds(case), case)


def cotangent_rules(case: Case, responses: Sequence[Response]) -> Iterator[Rule]:
    """Yields the ways in which cotangents may be read wrongly, as the responses suggest."""
    yield from _rules("cotangents", RESULTS, case, [each for each in responses if each.is_cotangent])
    yield from _rules_about_units("cotangents", RESULTS, case)


def _response(subject: Subject, trial: Trial, block: Block, is_cotangent: bool) -> Response:
    problem, dialect, case = trial.problem, trial.judged.dialect, trial.case
    tensors = problem.cotangents if is_cotangent else tensors_read(problem)
    changed = np.array(tensors[block.tensor])
    view = block.select({block.tensor: changed}, case)
    random = np.random.default_rng(7)
    view[...] = round_to(case.dtype, view + random.choice([-1.0, 1.0], view.shape) * (0.5 + random.random(view.shape)))
    prefix = "cotangent." if is_cotangent else ""
    other = with_block(problem, {prefix + block.tensor: changed})
    got, expected = subject.solve(other), solve(other, dialect)
    kinds = [f"grad.{kind}" for kind in read_kinds(case)] if is_cotangent else RESULTS
    must, must_not, moved = set(), set(), set()
    for place in (place for kind in kinds for place in blocks(kind, case)):
        shape = trial.observation.shapes.get(place.tensor)
        if place.tensor not in trial.observation.got or np.shape(got.get(place.tensor, 0.0)) != shape:
            continue
        tolerance = trial.tolerance(place.tensor)
        open_elements = np.isinf(place.select(trial.judged.expectation.budget, case))
        before, after = place.select(trial.judged.solution, case), place.select(got, case)
        difference = np.where(open_elements, 0.0, np.abs(after - before))
        if not (difference <= _GOT_TOLERANCES * tolerance).all():
            moved.add(place)
        change = np.abs(place.select(expected, case) - place.select(trial.judged.expectation.values, case))
        change = float(np.where(open_elements, 0.0, change).max())
        if change > _EXPECTED_TOLERANCES * tolerance:
            must.add(place)
        elif change <= 1e-3 * tolerance:
            must_not.add(place)
    return Response(block, frozenset(must), frozenset(must_not), frozenset(moved), is_cotangent)


def _rules(role: Role, kinds: Sequence[str], case: Case, responses: Sequence[Response]) -> Iterator[Rule]:
    silent = [each.block for each in responses if each.is_silent]
    wrong = [each.block for each in responses if each.is_wrong]
    tried: set[Rule] = set()
    for group in _groups(kinds):
        found = [[block for block in part if block.kind in group] for part in (silent, wrong)]
        shared = {*axes_of(group), UNIT}
        scopes = (*scopes_of(found[0], case), *scopes_of(found[1], case), *simple_scopes(axes_of(group), case))
        for scope in dict.fromkeys(scope for scope in scopes if shared.issuperset(place.axis for place in scope)):
            for move in _shared_moves(group, case):
                rule = Rule(role, group, move, scope)
                if rule not in tried and rule.applies_to(case):
                    tried.add(rule)
                    yield rule


def _rules_about_units(role: Role, kinds: Sequence[str], case: Case) -> Iterator[Rule]:
    """Yields rules about the units within all blocks of some kinds."""
    for group in _groups(kinds):
        counts = {next(blocks(kind, case)).width(case)[0] for kind in group}
        if len(counts) == 1:
            for scope in simple_scopes(axes_of(group), case) if len(group) == 1 else ((),):
                yield from (Rule(role, group, move, scope) for move in unit_moves(*counts))
    ignored = Move(ZEROS, lambda *_: ())
    for kind in kinds:
        count = next(blocks(kind, case)).width(case)[0]
        yield from (Rule(role, (kind,), ignored, (Place(UNIT, "is", unit),)) for unit in range(count))


def _groups(kinds: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns groups of kinds that may be read wrongly in the same way."""
    groups: list[tuple[str, ...]] = [(kind,) for kind in kinds]
    groups += [pair for pair in combinations(kinds, 2) if axes(pair[0]) == axes(pair[1])]
    parameters = tuple(kind for kind in kinds if "gate" in axes(kind))
    return list(dict.fromkeys([*groups, *([parameters] if parameters else []), *([tuple(kinds)] if kinds else [])]))


def _shared_moves(group: Sequence[str], case: Case) -> list[Move]:
    first, *others = group
    shared = list(moves(first, case))
    for kind in others:
        words = {move.words for move in moves(kind, case)}
        shared = [move for move in shared if move.words in words]
    return shared


def _summary(found: Iterable[Block]) -> str:
    """Describes the first of some blocks, and the number of the others."""
    first, *others = sorted(found, key=describe_block)
    return describe_block(first) + (f" and {len(others)} more" if others else "")

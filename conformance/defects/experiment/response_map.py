"""Condenses measured responses to a map of the wrong ones."""

from collections.abc import Iterable

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import RESULTS, Block, blocks, describe_block
from conformance.defects.experiment.inputs import Response
from conformance.results.response_map import EXPECTED, MISSING, NONE, UNEXPECTED, ResponseMap

_MAX_ROWS = 16
"""Number of changed blocks that a map lists."""


def response_map(probe: str, case: Case, responses: Iterable[Response]) -> ResponseMap | None:
    """Returns the map of the wrong responses of results; None if all are right.

    Args:
        probe: name of the probe.
        case: its case.
        responses: the responses to changes of all blocks. Those to changes of cotangents are left out.
    """
    read = [each for each in responses if not each.is_cotangent]
    wrong = [each for each in read if each.is_wrong]
    if not wrong:
        return None
    compared = frozenset[Block]().union(*(each.must | each.must_not | each.moved for each in read))
    results = [place for kind in RESULTS for place in blocks(kind, case) if place in compared]
    rows = {describe_block(each.block): "".join(_mark(each, place) for place in results) for each in wrong[:_MAX_ROWS]}
    return ResponseMap(probe, tuple(map(describe_block, results)), rows, len(wrong) - len(rows))


def _mark(response: Response, result: Block) -> str:
    if result in response.moved:
        return UNEXPECTED if result in response.must_not else EXPECTED
    return MISSING if result in response.must else NONE

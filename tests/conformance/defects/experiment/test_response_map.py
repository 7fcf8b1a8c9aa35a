"""A response map marks, for each block with a wrong response, the results that respond."""

import json

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import Block
from conformance.defects.experiment.inputs import Response
from conformance.defects.experiment.response_map import response_map
from conformance.results.explanation import Explanation

CASE = Case.model_validate({"input_size": 2, "hidden_size": 3, "seq_len": 1, "batch": 2, "dtype": "float64"})
OUTPUT = [Block("output", direction=0, row=row, step=0) for row in range(2)]
H_N = [Block("h_n", layer=0, direction=0, row=row) for row in range(2)]


def respond(row: int, must: list[Block], moved: list[Block], is_cotangent: bool = False) -> Response:
    block = Block("h_0", layer=0, direction=0, row=row)
    return Response(block, frozenset(must), frozenset([*OUTPUT, *H_N]) - {*must}, frozenset(moved), is_cotangent)


def test_a_map_has_the_wrong_responses_of_results() -> None:
    responses = [
        respond(0, [OUTPUT[0], H_N[0]], [OUTPUT[1], H_N[0]]),
        respond(1, [OUTPUT[1], H_N[1]], [OUTPUT[1], H_N[1]]),
        respond(1, [H_N[1]], [], is_cotangent=True),
    ]
    found = response_map("a probe", CASE, responses)
    assert found
    assert found.results == (
        "output, step 0, row 0, forward",
        "output, step 0, row 1, forward",
        "h_n, layer 0, forward, row 0",
        "h_n, layer 0, forward, row 1",
    )
    assert found.rows == {"h_0, layer 0, forward, row 0": "-x+."}
    assert found.omitted == 0
    legend, row = found.as_lines(3)
    assert legend.startswith("1 of 1 blocks of the case a probe: + responds")
    assert row == "h_0, layer 0, forward, row 0: output -x, h_n +."
    assert found.as_lines(1) == []
    assert response_map("a probe", CASE, responses[1:]) is None
    explanation = Explanation("mine", "unexplained", ("key",), responses=found)
    assert Explanation.from_row(json.loads(json.dumps(explanation.to_row()))) == explanation


def test_a_map_counts_the_rows_that_it_omits() -> None:
    found = response_map("a probe", CASE, [respond(row, OUTPUT, []) for row in range(20)])
    assert found
    assert (len(found.rows), found.omitted) == (16, 4)

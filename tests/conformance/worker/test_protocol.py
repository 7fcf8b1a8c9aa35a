"""Messages survive a round trip, invalid ones are explained, and the published schema is current."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.verdict import tensors
from conformance.verdict.problem import make_problem
from conformance.worker import protocol
from conformance.worker.protocol import Failed, Masks, Refused, Solve, Solved, Start, Started, Stop, Supported, Supports

OPTIONS = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch": "unbatched", "batch_first": True},
        {"lengths": "ragged", "direction": "bidirectional"},
        {"hidden_size": (4, 6), "num_layers": 2, "dtype": "float64"},
        {"num_layers": 3, "dropout": 0.25, "mode": "train"},
        {"initial_state": "omitted", "dtype": "bfloat16"},
        {"proj_size": 2, "bias": False, "dtype": "float16"},
        {"initial_state": "c_0-given", "cotangents": ("output", "c_n"), "frozen": ("input",)},
        {"chunks": (2, 3), "earlier_calls": ("longer", "error"), "built_seq_len": 1, "memory": "aliased"},
        {"check": ("jvp", "hvp"), "initial_state": "h_0-given"},
    ],
)
def test_a_problem_survives_a_round_trip(options: dict[str, Any]) -> None:
    problem = make_problem(Case.model_validate(OPTIONS | options), draw=2)
    block = tensors.dumps(protocol.to_tensors(problem))
    request = Solve(case=problem.case, draw=2, wants={}, n=len(block))
    read = protocol.read_request(protocol.encode(request))
    assert isinstance(read, Solve)
    again = protocol.to_problem(read.case, read.draw, tensors.loads(block)[0])
    assert (again.case, again.case.key, again.draw) == (problem.case, problem.case.key, 2)
    for part in ("parameters", "dropout_masks", "cotangents", "tangents", "initial_state"):
        ours, theirs = getattr(problem, part), getattr(again, part)
        assert (ours is None) == (theirs is None)
        # The format does not preserve the order of names. Dropout masks are used by name only.
        ordered = sorted if part == "dropout_masks" else list
        assert ordered(ours or {}) == ordered(theirs or {})
        assert all(_same(ours[name], theirs[name]) for name in ours or {})
    assert _same(problem.input, again.input)
    assert (problem.lengths is None) == (again.lengths is None)
    assert problem.lengths is None or _same(problem.lengths, again.lengths)


def _same(ours: Any, theirs: Any) -> bool:
    return ours.dtype == theirs.dtype and np.array_equal(ours, theirs) and not theirs.flags.writeable


@pytest.mark.parametrize(
    "request_",
    [Start(), Supports(case=Case.model_validate(OPTIONS)), Masks(case=Case.model_validate(OPTIONS), n=3), Stop()],
)
def test_a_request_survives_a_round_trip(request_: Any) -> None:
    assert protocol.read_request(protocol.encode(request_)) == request_


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}\n", "cmd"),
        (b'{"cmd":"begin"}\n', "begin"),
        (b'{"cmd":"start","version":2}\n', "start.version: Input should be 1"),
        (b'{"cmd":"solve","n":1}\n', "solve.case: Field required"),
        (b"hello\n", "Invalid JSON"),
    ],
)
def test_an_invalid_request_is_explained(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        protocol.read_request(line)


@pytest.mark.parametrize(
    ("line", "kind", "answer"),
    [
        (b'{"ok":true,"version":1,"name":"a.b"}', Started, Started(name="a.b")),
        (b'{"reason":null}', Supported, Supported(reason=None)),
        (b'{"reason":"no","warnings":["an error"]}', Supported, Supported(reason="no", warnings=["an error"])),
        (b'{"ok":true,"n":8,"seconds":0.5}', Solved, Solved(n=8, seconds=0.5)),
        (b'{"unsupported":"no"}', Solved, Refused(unsupported="no")),
    ],
)
def test_an_answer_is_parsed(line: bytes, kind: Any, answer: object) -> None:
    assert protocol.read_answer(line, kind) == answer


@pytest.mark.parametrize("kind", [Started, Supported, Solved])
def test_every_request_may_be_answered_with_an_error(kind: Any) -> None:
    answer = protocol.read_answer(b'{"error":{"type":"OSError","message":"no device"}}', kind)
    assert isinstance(answer, Failed)
    assert (answer.error.type, answer.error.message) == ("OSError", "no device")


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (b"\xff\xfe", Solved, "not a JSON object"),
        (b"12", Solved, "not a JSON object"),
        (b"[" * 100_000, Solved, "not a JSON object"),
        (b"[]", Solved, "valid dictionary|an object"),
        (b'{"ok":true}', Solved, "n: Field required"),
        (b'{"ok":true,"n":-1}', Solved, "greater than or equal to 0"),
        (b'{"ok":true,"n":1.5}', Solved, "n: "),
        (b'{"ok":false,"n":1}', Solved, "ok: "),
        (b'{"ok":true,"n":1,"tensor":[]}', Solved, "tensor: Extra"),
        (b'{"unsuported":"no"}', Supported, "reason: Field required"),
        (b'{"reason":null,"dialect":{"padding":"ones"}}', Supported, "dialect.padding"),
        (b'{"ok":true,"version":2,"name":"a"}', Started, "version: Input should be 1"),
        (b'{"ok":true,"version":1,"name":"a b"}', Started, "name: "),
    ],
)
def test_an_invalid_answer_is_explained(line: bytes, kind: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        protocol.read_answer(line, kind)


def test_the_published_schema_is_current() -> None:
    assert protocol.SCHEMA.read_text() == protocol.schema(), "run `python -m conformance.worker.protocol` to update it"

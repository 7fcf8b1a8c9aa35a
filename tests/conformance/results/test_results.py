import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.errors import UserError
from conformance.results.header import Header
from conformance.results.reader import read
from conformance.results.record import STATUSES, InvalidRowError, Result, counts, plain
from conformance.results.writer import ResultsFile

PASSED = Result("a.yaml::one", "k1", "fake", "pass", error_ratio=0.0, tensors={"h_n": 0.0}, seconds={"solve": 0.25})
FAILED = Result(
    "a.yaml::two",
    "k2",
    "fake",
    "fail",
    "h_n: wrong",
    error_ratio=math.inf,
    tensors={"h_n": math.inf, "c_n": 0.5},
    details={"h_n": {"index": (0, np.int64(1)), "got": np.float32(0.5), "expected": math.nan}},
    notes=("a note",),
    features=("layers", "float32"),
    tags=("t",),
    dtype="float32",
    line=3,
)


def header(**changes: Any) -> Header:
    default = Header(planned={"fake": 2}, packages={"fake": {"numpy": "1"}}, selection="-k x", cases="cafe")
    return default.stamped().model_copy(update=changes)


def written(path: Path, *results: Result, finish: bool = True) -> Path:
    with ResultsFile(path, header()) as file:
        file.describe("fake", {"device": "cpu"})
        for result in results:
            file.add(result)
        if finish:
            file.finish(results, 1.5)
    return path


def test_a_written_file_is_read_back(tmp_path: Path) -> None:
    report = read(written(tmp_path / "new" / "results.jsonl", PASSED, FAILED))
    assert report.complete
    assert report.planned == {"fake": 2}
    assert report.implementations == {"fake": {"device": "cpu"}}
    assert report.results[0] == PASSED
    assert report.results[1].error_ratio == math.inf
    assert report.results[1].details["h_n"] == {"index": [0, 1], "got": 0.5, "expected": "nan"}
    assert report.footer is not None
    assert report.footer.counts == {"pass": 1, "fail": 1}
    assert report.footer.seconds == {"solve": 0.25, "other": 1.5}


def test_rows_are_grouped_by_implementation_when_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    came = [("b", PASSED), ("a", FAILED), ("b", FAILED), ("a", PASSED)]
    with ResultsFile(path, header(planned={"a": 2, "b": 2})) as file:
        for name, result in came:
            file.add(replace(result, implementation=name))
    found = [(result.implementation, result.status) for result in read(path).results]
    assert found == [("a", "fail"), ("a", "pass"), ("b", "pass"), ("b", "fail")]


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for line in written(tmp_path / "r.jsonl", PASSED, FAILED).read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_rows_are_written_immediately(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "r.jsonl", header()) as file:
        file.add(PASSED)
        report = read(tmp_path / "r.jsonl")
    assert report.results == (PASSED,)
    assert not report.complete


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_an_incomplete_last_line_is_ignored(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "r.jsonl", PASSED, FAILED)
    path.write_bytes(path.read_bytes()[:-cut])
    report = read(path)
    assert len(report.results) == 2
    assert not report.complete


@pytest.mark.parametrize("finished", [True, False])
def test_a_resumed_file_holds_each_row_once(tmp_path: Path, finished: bool) -> None:
    path = written(tmp_path / "r.jsonl", PASSED, finish=finished)
    path.write_bytes(path.read_bytes() + b'{"kind":"row","case":"a.ya')
    with ResultsFile(path, header(), resume=True) as file:
        assert file.done == (PASSED,)
        file.describe("fake", {"device": "cpu"})
        file.add(FAILED)
        file.finish([*file.done, FAILED])
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == ["header", "implementation", "row", "row", "footer"]


def test_resuming_without_a_file_creates_one(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "r.jsonl", header(), resume=True) as file:
        assert file.done == ()
    assert read(tmp_path / "r.jsonl").planned == {"fake": 2}


@pytest.mark.parametrize("part", ["suite", "threads", "packages", "cases", "planned", "selection"])
def test_a_different_run_is_not_resumed(tmp_path: Path, part: str) -> None:
    path = written(tmp_path / "r.jsonl", PASSED)
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"cannot resume this run: `{part}` was "):
        ResultsFile(path, header(**{part: {"another": 1}}), resume=True)
    assert path.read_bytes() == before


HEADER = '{"kind": "header", "planned": {}, "format": 2}\n'
ROW = '{"kind": "row", "case": "c", "key": "k", "implementation": "i", "status": "pass", %s}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: not a results file: invalid JSON at column 1: Expecting value"),
        ("hello\n", ":1: not a results file: invalid JSON at column 1: Expecting value"),
        ("[]\n", ":1: not a results file: invalid line: expected a JSON object"),
        ('{"kind": "row"}\n', ":1: not a results file: the first line is not a header"),
        ("[" * 10**5 + "\n", ":1: not a results file: invalid JSON: nested too deeply"),
        (
            '{"kind": "header", "planned": {}, "format": 99, "suite": "9.0"}\n',
            ": written in results format 99 by version 9.0 of the suite, but this version reads format 2. "
            "Run the cases again.",
        ),
        (
            '{"kind": "header", "planned": {}, "format": 2, "machine": "fast"}\n',
            ":1: invalid header: machine must be a valid dictionary, got 'fast'",
        ),
        (HEADER + '{"kin\n{}\n', ":2: invalid JSON at column 2: Unterminated string starting at"),
        (HEADER + '{"kind": "row", "case": "a"}\n', ":2: invalid row: missing field key"),
        (HEADER + ROW % '"seconds": 5', ":2: invalid row: seconds must be a valid dictionary, got 5"),
        (
            HEADER + ROW % '"seconds": {"a": "inf"}',
            ":2: invalid row: seconds.a must be a finite number, got inf",
        ),
        (HEADER + ROW % '"detected": "zz"', ":2: invalid row: detected must match pattern '^[0-9a-f]*$', got 'zz'"),
        (HEADER + ROW % '"error_ratio": "nan"', ":2: invalid row: error_ratio must be ≥ 0, got NaN"),
        (HEADER + ROW % '"tensors": {"h_n": -1}', ":2: invalid row: tensors.h_n must be ≥ 0, got -1"),
        (
            (HEADER + ROW % '"line": 1').replace('"pass"', '"fine"'),
            ":2: invalid row: status must be 'pass', 'fail', 'unsupported', 'error', 'crash', 'timeout', 'known', "
            "'fixed' or 'not-run', got 'fine'",
        ),
        (
            HEADER + ROW % '"line": 1' + ROW % '"line": 2',
            ":3: duplicate row c[i]. Use `conformance merge` to combine runs.",
        ),
        (HEADER + ROW % '"line": 1' + HEADER, ":3: found a second header. Use `conformance merge` to combine runs."),
        (
            HEADER + '{"kind": "footer"}\n' + ROW % '"line": 1',
            ":3: found a line after the footer. Use `conformance merge` to combine runs.",
        ),
        (
            HEADER + '{"kind": "footer", "counts": 3}\n',
            ":2: invalid footer: counts must be a valid dictionary, got 3",
        ),
        (
            HEADER + '{"kind": "implementation", "name": "i"}\n',
            ":2: invalid implementation: missing field description",
        ),
        (
            HEADER + '{"kind": "counted", "implementation": "i", "status": "pass"}\n',
            ":2: invalid counted: missing field cases",
        ),
    ],
)
def test_an_invalid_file_is_refused_with_the_line_and_the_mistake(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value) == f"{path}{message}"


def test_a_row_that_no_reader_would_accept_is_not_written(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", PASSED)
    before = path.read_bytes()
    with ResultsFile(path, header(), resume=True) as file:
        resumed = path.read_bytes()
        with pytest.raises(
            InvalidRowError, match=r"^invalid result of a\.yaml::two\[fake\]: error_ratio must be ≥ 0, got NaN$"
        ):
            file.add(replace(FAILED, error_ratio=math.nan))
        assert path.read_bytes() == resumed
        file.finish(file.done, 1.5)
    assert len(path.read_bytes()) == len(before)
    assert read(path).results == (PASSED,)


def test_a_second_row_of_the_same_case_and_implementation_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path, header()) as file:
        assert file.add(PASSED)
        assert not file.add(replace(PASSED, status="fail"))
    with ResultsFile(path, header(), resume=True) as file:
        assert not file.add(PASSED)
    assert read(path).results == (PASSED,)


# --------------------------------------------------------------------------- any row

ANY_TEXT = st.text('a "\\\n\t\x00\x1bé\u2028\u202e\ud800\udc00\ufeff𝄞', max_size=6)
# What JSON makes of a text: it joins a pair of surrogates into one character.
TEXTS = ANY_TEXT.map(lambda text: json.loads(json.dumps(text)))
NUMBERS = st.floats().map(lambda number: float(f"{number:.9g}"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TEXT_TUPLES = st.lists(TEXTS, max_size=3).map(tuple)
RATIOS = st.dictionaries(TEXTS, NUMBERS, max_size=3)
HUGE = st.integers(-1, 10) | st.just(10**4000)
RESULTS = st.builds(
    Result,
    case=TEXTS,
    key=TEXTS,
    implementation=TEXTS,
    status=st.sampled_from([*STATUSES, "fine", None]),
    reason=TEXTS | st.none(),
    error_ratio=st.none() | NUMBERS,
    tensors=RATIOS,
    details=st.dictionaries(TEXTS, st.dictionaries(TEXTS, VALUES, max_size=3), max_size=2),
    diagnosis=TEXTS,
    causes=st.dictionaries(TEXTS, TEXTS | st.none(), max_size=2),
    notes=TEXT_TUPLES,
    traceback=TEXTS,
    seconds=RATIOS,
    features=TEXT_TUPLES,
    tags=TEXT_TUPLES,
    dtype=TEXTS,
    profile=TEXTS,
    line=HUGE,
    options=st.dictionaries(TEXTS, VALUES, max_size=3),
    unchecked=st.dictionaries(TEXTS, TEXTS, max_size=2),
    detects=st.none() | HUGE,
    detected=st.sampled_from(["", "0", "fff", "-1", "F", "\ud800"]),
    power_sizes=st.dictionaries(TEXTS, VALUES, max_size=3),
)


@given(RESULTS)
@example(replace(PASSED, error_ratio=math.nan))
@example(replace(PASSED, tensors={"h_n": math.nan}))
@example(replace(PASSED, line=10**5000))
@example(replace(PASSED, error_ratio=math.inf, tensors={"h_n": math.inf, "\ud800": 0.0}))
def test_every_row_that_is_written_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, result: Result) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    with ResultsFile(path, header()) as file:
        try:
            file.add(result)
        except ValueError:
            expected: tuple[Result, ...] = ()
        else:  # Values that are not finite are strings where a field may hold any value.
            expected = (replace(result, details=plain(result.details), options=plain(result.options)),)
        file.finish(expected)
    assert read(path).results == expected
    assert read(path).complete


@given(ANY_TEXT)
@example("\ud83d\ude00")
def test_any_text_is_read_back_as_json_holds_it(text: str) -> None:
    row = replace(PASSED, reason=text, notes=(text,)).to_row()
    assert Result.from_row(json.loads(json.dumps(row))) == Result.from_row(row)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such locks")
def test_a_file_is_written_by_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path, header()) as file:
        file.add(PASSED)
        before = path.read_bytes()
        for resume in (False, True):
            with pytest.raises(UserError, match="another run is writing this file"):
                ResultsFile(path, header(), resume=resume)
        assert path.read_bytes() == before
    ResultsFile(path, header()).__exit__(None, None, None)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_is_reported() -> None:
    with pytest.raises(UserError, match="cannot be written: No space left") as caught:
        ResultsFile(Path("/dev/full"), header())
    assert caught.value.exit_code == 3


def test_an_unwritable_path_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        ResultsFile(tmp_path / "file" / "r.jsonl", header())
    assert caught.value.exit_code == 3


def test_counts_are_in_the_order_of_the_statuses() -> None:
    assert list(counts([FAILED, PASSED, FAILED])) == ["pass", "fail"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.nan, "nan"), (-math.inf, "-inf"), (np.float64(0.1), 0.1), (np.bool_(True), True), (Path("a"), "a")],
)
def test_values_become_json_values(value: object, expected: object) -> None:
    assert plain({"x": [value]}) == {"x": [expected]}

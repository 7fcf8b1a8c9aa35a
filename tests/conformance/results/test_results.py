import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.errors import UserError
from conformance.results.header import make_header
from conformance.results.reader import read
from conformance.results.record import Result, counts, plain
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


def header(**changes: Any) -> dict[str, Any]:
    return make_header({"fake": 2}, {"fake": {"numpy": "1"}}, "-k x", "cafe") | changes


def written(path: Path, *results: Result, finish: bool = True) -> Path:
    with ResultsFile(path, header()) as file:
        file.describe("fake", {"device": "cpu"})
        for result in results:
            file.add(result)
        if finish:
            file.finish(results, 1.5)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    report = read(written(tmp_path / "new" / "results.jsonl", PASSED, FAILED))
    assert report.complete
    assert report.planned == {"fake": 2}
    assert report.implementations == {"fake": {"device": "cpu"}}
    assert report.results[0] == PASSED
    assert report.results[1].error_ratio == math.inf
    assert report.results[1].details["h_n"] == {"index": [0, 1], "got": 0.5, "expected": "nan"}
    assert report.footer is not None
    assert report.footer["counts"] == {"pass": 1, "fail": 1}
    assert report.footer["seconds"] == {"solve": 0.25, "other": 1.5}


def test_rows_of_several_implementations_at_once_are_read_one_after_the_other(tmp_path: Path) -> None:
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


def test_rows_are_on_disk_as_they_come(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "r.jsonl", header()) as file:
        file.add(PASSED)
        report = read(tmp_path / "r.jsonl")
    assert report.results == (PASSED,)
    assert not report.complete


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_half_written_last_line_is_passed_over(tmp_path: Path, cut: int) -> None:
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


def test_resuming_without_a_file_begins_one(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "r.jsonl", header(), resume=True) as file:
        assert file.done == ()
    assert read(tmp_path / "r.jsonl").planned == {"fake": 2}


@pytest.mark.parametrize("part", ["suite", "threads", "packages", "cases", "planned", "selection"])
def test_another_run_is_not_resumed(tmp_path: Path, part: str) -> None:
    path = written(tmp_path / "r.jsonl", PASSED)
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"cannot be resumed, its {part} differ"):
        ResultsFile(path, header(**{part: {"another": 1}}), resume=True)
    assert path.read_bytes() == before


ROW = (
    '{"kind": "header", "planned": {}, "format": 2}\n'
    '{"kind": "row", "case": "c", "key": "k", "implementation": "i", "status": "pass", %s}\n'
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: this is not a results file"),
        ("hello\n", ":1: this is not a results file"),
        ("[]\n", ":1: this is not a results file"),
        ('{"kind": "row"}\n', ":1: this is not a results file"),
        ('{"kind": "header", "planned": {}, "format": 99, "suite": "9.0"}\n', "version 9.0 of the suite"),
        (
            '{"kind": "header", "planned": {}, "format": 2}\n{"kind": "row", "case": "a"}\n',
            ":2: .* key: Field required",
        ),
        ('{"kind": "header", "planned": {}, "format": 2}\n{"kin\n{}\n', ":2: this is not a row"),
        ("[" * 10**5 + "\n", ":1: this is not a results file: too deep"),
        ('{"kind": "header", "planned": {}, "format": 2, "machine": "fast"}\n', ":1: .*machine: Input should be"),
        (ROW % '"seconds": 5', ":2: .*seconds: Input should be"),
        (ROW % '"detected": "zz"', ":2: .*seen: String should match"),
        (ROW % '"error ratio": "nan"', ":2: .*error ratio: Input should be"),
        (ROW % '"line": 1' + (ROW % '"line": 1').splitlines()[1] + "\n", r":3: .*c\[i\] is there twice"),
        (ROW % '"line": 1' + (ROW % '"line": 1'), ":3: .*another run begins"),
        (ROW % '"line": 1' + '{"kind": "footer"}\n' + (ROW % '"line": 1'), ":4: .*behind the end of a run"),
        (
            '{"kind": "header", "planned": {}, "format": 2}\n'
            '{"kind": "row", "case": "a", "key": "k", "implementation": "i", "status": "fine"}\n',
            ":2: .* status: Input should be 'pass'",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such locks")
def test_a_file_is_written_by_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path, header()) as file:
        file.add(PASSED)
        before = path.read_bytes()
        for resume in (False, True):
            with pytest.raises(UserError, match="another run is writing there"):
                ResultsFile(path, header(), resume=resume)
        assert path.read_bytes() == before
    ResultsFile(path, header()).__exit__(None, None, None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_is_said() -> None:
    with pytest.raises(UserError, match="cannot be written: No space left") as caught:
        ResultsFile(Path("/dev/full"), header())
    assert caught.value.exit_code == 3


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as caught:
        ResultsFile(tmp_path / "file" / "r.jsonl", header())
    assert caught.value.exit_code == 3


def test_statuses_are_counted_in_one_order() -> None:
    assert list(counts([FAILED, PASSED, FAILED])) == ["pass", "fail"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.nan, "nan"), (-math.inf, "-inf"), (np.float64(0.1), 0.1), (np.bool_(True), True), (Path("a"), "a")],
)
def test_values_become_plain(value: object, expected: object) -> None:
    assert plain({"x": [value]}) == {"x": [expected]}

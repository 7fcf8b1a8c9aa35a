"""The journal of a campaign in its results file."""

import json
from pathlib import Path

from conformance.campaign.journal import Drawn, Tally, read


def line(**content: object) -> str:
    return json.dumps({"kind": "drawn", **content}, separators=(",", ":"))


def test_only_complete_lines_of_the_journal_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    one = {"implementation": "a", "number": 3, "status": "pass", "dtype": "float32", "error_ratio": 0.5}
    two = {"implementation": "a", "number": 4, "status": "crash", "dtype": "float64"}
    path.write_text("\n".join(['{"kind":"header"}', line(**one), line(**two), line(**one)[:-9]]))
    assert list(read(path)) == [Drawn("a", 3, "pass", "float32", 0.5), Drawn("a", 4, "crash", "float64")]


def test_a_tally_counts_each_number_once() -> None:
    tally = Tally()
    for number, status, ratio in ((0, "pass", 0.25), (2, "fail", 9.0), (2, "fail", 9.0), (5, "pass", 0.75)):
        tally.add(Drawn("a", number, status, "float32", ratio))
    assert (tally.cases, tally.deviations, tally.next) == (3, 1, 6)
    assert tally.quantiles()["float32"][:2] == (2, 0.5)
    assert tally.quantiles()["float32"][3] == 0.75

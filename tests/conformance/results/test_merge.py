import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.cli import main
from conformance.errors import UserError
from conformance.results.explanation import Explanation
from conformance.results.header import MergedFile
from conformance.results.merge import CONFLICTS, merge
from conformance.results.reader import Report, read
from conformance.results.record import Result
from conformance.results.summary import detection
from tests.conformance.results.runs import report, row
from tests.conftest import FAKES


def part(folder: Path, index: int, *results: Result, of: int = 2, cases: str = "cafe", **header: Any) -> Report:
    shard = {"index": index, "of": of, "cases": cases, "planned": {"mine": 4}}
    return report(folder / f"{index}.jsonl", *results, shard=shard, **header)


def kinds(error: UserError) -> set[str]:
    return {line.split(":")[0].strip() for line in str(error).splitlines()[1:-1]}


def test_merged_shards_are_the_whole_run(tmp_path: Path) -> None:
    parts = [part(tmp_path, 2, row("c"), row("d")), part(tmp_path, 1, row("a", "fail"), row("b"))]
    merged, conflicts = merge(parts)
    assert not conflicts
    (tmp_path / "m.jsonl").write_text(merged.render())
    whole = read(tmp_path / "m.jsonl")
    assert whole.complete
    assert whole.planned == {"mine": 4}
    assert [result.case for result in whole.results] == ["a.yaml::c", "a.yaml::d", "a.yaml::a", "a.yaml::b"]
    assert whole.implementations == {"mine": {"device": "cpu"}}
    assert whole.header.shard is None
    assert [each.file for each in whole.header.merged or ()] == ["2.jsonl", "1.jsonl"]
    assert whole.footer is not None
    assert whole.footer.counts == {"pass": 3, "fail": 1}


def test_runs_of_different_implementations_are_merged(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a"), row("b"))
    two = report(tmp_path / "two.jsonl", row("a", implementation="other"))
    merged, _ = merge([one, two])
    assert merged.complete
    assert merged.header.planned == {"mine": 2, "other": 1}
    assert merged.header.packages == {"mine": {"framework": "1"}, "other": {"framework": "1"}}


def test_the_lines_of_a_merged_file_equal_those_of_its_parts(tmp_path: Path) -> None:
    explanation = Explanation("mine", "reads c_0 of every layer from layer 0", ("key of a",))
    one = report(tmp_path / "one.jsonl", row("a", notes=("é",)), explains=[explanation])
    two = report(tmp_path / "two.jsonl", row("b", "fail", error_ratio=math.inf))

    def lines(text: str) -> list[str]:
        return sorted(line for line in text.splitlines() if line.startswith(('{"kind":"row"', '{"kind":"explanation"')))

    merged, _ = merge([one, two])
    assert lines(merged.render()) == lines(one.path.read_text() + two.path.read_text())
    (tmp_path / "m.jsonl").write_text(merged.render())
    assert read(tmp_path / "m.jsonl").explanations == (explanation,)


def test_counts_of_campaigns_without_rows_are_added(tmp_path: Path) -> None:
    counts = [{"mine": {"pass": 3, "known": 1}}, {"mine": {"pass": 4}, "other": {"pass": 1}}]
    one, two = (
        replace(report(tmp_path / f"{index}.jsonl", row(str(index))), counted=each) for index, each in enumerate(counts)
    )
    path = tmp_path / "m.jsonl"
    path.write_text(merge([one, two])[0].render())
    path.write_text(merge([read(path)])[0].render())
    assert read(path).counted == {"mine": {"known": 1, "pass": 7}, "other": {"pass": 1}}


def described(cpus: int, began: str | None) -> dict[str, Any]:
    """Returns fields of the header of a run on a machine."""
    return {
        "began": began,
        "machine": {"cpus": cpus},
        "threads": {"OMP_NUM_THREADS": str(cpus)},
        "selection": f"-k {cpus}",
        "lacking": {f"worker with {cpus} CPUs": {"mine": "mine needs a framework"}},
    }


def test_a_merged_header_describes_the_first_file_and_lists_all_of_them(tmp_path: Path) -> None:
    headers = [described(4, "2026-11-02"), described(8, "2026-11-01"), described(2, None)]
    parts = [part(tmp_path, index, row(str(index)), of=3, **header) for index, header in enumerate(headers, 1)]
    found, first = merge(parts)[0].header, parts[0].header
    assert (found.suite, found.machine, found.threads) == (first.suite, first.machine, first.threads)
    assert found.began == "2026-11-01"
    assert set(found.lacking) == {"worker with 4 CPUs", "worker with 8 CPUs", "worker with 2 CPUs"}
    fields = ("suite", "machine", "threads", "shard", "selection")
    assert found.merged == tuple(
        MergedFile(file=each.path.name, **{name: getattr(each.header, name) for name in fields}) for each in parts
    )
    assert merge([report(tmp_path / "untimed.jsonl", began=None)])[0].header.began is None


def test_detected_defects_keep_their_ids_if_the_files_list_them_in_different_orders(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a", detects=1, detected="1"), defects=["e", "d", "c", "b", "a"])
    rows = row("b", detects=2, detected="12"), row("c", detects=0, detected="")
    two = report(tmp_path / "two.jsonl", *rows, defects=["a", "b", "c", "d", "e"])
    merged, _ = merge([one, two])
    assert merged.header.defects == ("e", "d", "c", "b", "a")
    assert [result.detected for result in merged.results] == ["1", "9", "0"]


@pytest.mark.parametrize("name", ["other", "other@2.1"])
def test_an_implementation_that_one_of_the_runs_has_is_not_absent(tmp_path: Path, name: str) -> None:
    here = {"other": "other needs a framework", "third": "third needs another"}
    one = report(tmp_path / "one.jsonl", row("a"), absent=here)
    two = report(tmp_path / "two.jsonl", row("a", implementation=name), selection="-i other")
    merged, _ = merge([one, two])
    assert merged.header.absent == {"third": "third needs another"}
    assert merged.header.selection == "everything; -i other"
    assert merge([one])[0].header.selection == ""


def refused(reports: Sequence[Report]) -> UserError:
    with pytest.raises(UserError) as caught:
        merge(reports)
    return caught.value


def test_duplicate_rows_are_refused_or_the_last_is_kept(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a"), row("b"))
    two = report(tmp_path / "two.jsonl", row("b", "fail"))
    error = refused([one, two])
    assert kinds(error) == {"duplicates"}
    assert f"{one.path} and {two.path} both contain a.yaml::b[mine]" in str(error)
    assert str(error).endswith("Use `--allow duplicates` to merge anyway.")
    merged, conflicts = merge([one, two], ["duplicates"])
    assert [conflict.kind for conflict in conflicts] == ["duplicates"]
    assert [result.status for result in merged.results] == ["pass", "fail"]
    assert merged.header.planned == {"mine": 2}


@pytest.mark.parametrize(("number", "listed"), [(5, "e[mine]"), (7, "e[mine] and 2 more")])
def test_a_conflict_names_at_most_five_rows(tmp_path: Path, number: int, listed: str) -> None:
    names = "abcdefg"[:number]
    one, two = (report(tmp_path / name, *map(row, names)) for name in ("one", "two"))
    assert "both contain a.yaml::a[mine], a.yaml::b[mine]" in str(refused([one, two]))
    assert f"a.yaml::{listed}\n" in str(refused([one, two]))


@pytest.mark.parametrize(("of", "missing"), [(2, "missing shard 1/2"), (3, "missing shards 1/3, 3/3")])
def test_missing_shards_are_named(tmp_path: Path, of: int, missing: str) -> None:
    assert f"gaps: {missing}\n" in str(refused([part(tmp_path, 2, row("a"), of=of)]))


def test_a_missing_shard_is_refused_or_makes_the_file_incomplete(tmp_path: Path) -> None:
    first = part(tmp_path, 1, row("a"), row("b"), of=3)
    error = refused([first])
    assert kinds(error) == {"gaps"}
    assert "gaps: missing shards 2/3, 3/3" in str(error)
    merged, _ = merge([first], ["gaps"])
    (tmp_path / "m.jsonl").write_text(merged.render())
    assert not read(tmp_path / "m.jsonl").complete
    assert read(tmp_path / "m.jsonl").planned == {"mine": 4}


def test_an_incomplete_file_is_refused(tmp_path: Path) -> None:
    cut = report(tmp_path / "cut.jsonl", row("a"), complete=False, planned={"mine": 3})
    assert "cut.jsonl is incomplete: it has 1 of 3 rows" in str(refused([cut]))
    merged, _ = merge([cut], ["gaps"])
    assert not merged.complete
    assert merged.header.planned == {"mine": 3}


def test_different_versions_of_the_suite_are_refused_or_their_defects_are_matched_by_id(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a", detects=1, detected="4"), suite="1")
    two = report(tmp_path / "two.jsonl", row("b", detects=2, detected="3"), suite="2", defects=["d", "c"])
    assert kinds(refused([one, two])) == {"suite"}
    merged, _ = merge([one, two], ["suite"])
    whole = replace(one, header=merged.header, results=tuple(merged.results))
    assert merged.header.defects == ("a", "b", "c", "d")
    assert set(detection(whole)["mine"].detected) == {"c", "d"}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"cases": "beef"}, ": run cafe in 2 shards"),
        ({"of": 3}, ": run cafe in 3 shards"),
        ({"key": "other"}, "1.jsonl and {folder}/2.jsonl have different cases named a.yaml::a\n"),
    ],
)
def test_different_cases_are_refused(tmp_path: Path, more: dict[str, Any], what: str) -> None:
    key, others = more.get("key", "key of a"), {name: value for name, value in more.items() if name != "key"}
    reports = [part(tmp_path, 1, row("a")), part(tmp_path, 2, row("a", key=key, implementation="other"), **others)]
    error = refused(reports)
    assert "cases" in kinds(error)
    assert what.format(folder=tmp_path) in str(error)


def test_shards_of_pytest_sessions_with_different_selections_are_refused(tmp_path: Path) -> None:
    one = part(tmp_path, 1, row("a"), cases="", selection="cases -k lengths")
    two = part(tmp_path, 2, row("b"), cases="", selection="cases")
    assert kinds(refused([one, two])) == {"cases"}


def test_different_versions_of_a_framework_are_refused(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a"))
    two = report(tmp_path / "two.jsonl", row("b"), packages={"mine": {"framework": "2", "backend": "3"}})
    three = report(tmp_path / "three.jsonl", row("c"), packages={"mine": {}})
    error = refused([one, two, three])
    assert kinds(error) == {"packages"}
    assert f"mine has framework 1 in {one.path}; framework 2, backend 3 in {two.path}; none in {three.path}\n" in str(
        error
    )


def test_all_conflicts_are_listed_and_an_invalid_run_stays_invalid(tmp_path: Path) -> None:
    one = report(tmp_path / "one.jsonl", row("a"), suite="1", complete=False)
    two = report(tmp_path / "two.jsonl", row("a"), suite="2", controls={"wrong-gates": "pass"})
    assert kinds(refused([one, two])) == {"duplicates", "gaps", "suite"}
    assert str(refused([one, two])).endswith("Use `--allow duplicates,gaps,suite` to merge anyway.")
    detected = report(tmp_path / "three.jsonl", row("b"), controls={"wrong-gates": "fail"})
    for order in itertools.permutations([one, two, detected]):
        merged, _ = merge(order, list(CONFLICTS))
        assert merged.header.controls == {"wrong-gates": "pass"}


# --------------------------------------------------------------------------- the commands


def shard(index: int, of: int = 3, folder: str = "") -> int:
    fakes = [word for name in ("Faithful", "Wrong") for word in ("-i", f"{FAKES}:{name}")]
    return main(
        [
            "run",
            "cases",
            *fakes,
            "--in-process",
            "--no-diagnosis",
            "--shard",
            f"{index}/{of}",
            "--output",
            folder or f"part-{index}",
        ]
    )


def test_a_run_in_shards_has_the_results_of_the_whole_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in (1, 2, 3):
        shard(index)
    parts = [f"part-{index}/results.jsonl" for index in (1, 2, 3)]
    sizes = [len(read(project / path).results) for path in parts]
    assert sum(sizes) == 6
    assert max(sizes) < 6
    assert all(read(project / path).complete for path in parts)
    assert main(["merge", *parts, "-o", "merged.jsonl"]) == 0
    assert "results: merged.jsonl: 6 rows from 3 files" in capsys.readouterr().out
    shard(1, 1, "whole")
    merged, whole = read(project / "merged.jsonl"), read(project / "whole" / "results.jsonl")
    assert merged.complete
    assert merged.planned == whole.planned
    assert merged.header.specs == {"faithful": f"{FAKES}:Faithful", "wrong": f"{FAKES}:Wrong"}
    without = [
        sorted(json.dumps(replace(result, seconds={}).to_row()) for result in each.results) for each in (merged, whole)
    ]
    assert without[0] == without[1]
    assert main(["compare", "whole/results.jsonl", "merged.jsonl"]) == 0


def test_shards_of_different_cases_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard(1, 2)
    file = project / "cases" / "small.yaml"
    file.write_text(file.read_text().replace("seq_len: 5", "seq_len: 6"))
    shard(2, 2)
    assert main(["merge", "part-1/results.jsonl", "part-2/results.jsonl", "-o", "m.jsonl"]) == 2
    assert "cases: shards of different runs: part-1/results.jsonl: run " in capsys.readouterr().err
    assert not (project / "m.jsonl").exists()


@pytest.mark.usefixtures("project")
def test_invalid_arguments_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(report(tmp_path / "one.jsonl", row("a")).path)
    assert main(["merge", path, "-o", "m.jsonl", "--allow", "gap"]) == 2
    assert "unknown conflict 'gap', did you mean 'gaps'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "--shard", "4/3"])
    assert "i/n with i from 1 to n" in capsys.readouterr().err


def test_a_shard_without_rows_is_complete(project: Path) -> None:
    arguments = ["run", "cases", "--in-process", "-i", f"{FAKES}:Faithful", "-k", "plain"]
    for index in (1, 2):
        assert main([*arguments, "--shard", f"{index}/2", "--output", f"part-{index}"]) == 0
    parts = [read(project / f"part-{index}" / "results.jsonl") for index in (1, 2)]
    assert sorted(len(each.results) for each in parts) == [0, 1]
    assert all(each.complete for each in parts)
    for order in itertools.permutations(parts):
        merged, _ = merge(order)
        assert merged.header.planned == {"faithful": 1}

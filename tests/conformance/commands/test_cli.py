"""The command line: exit codes, output, and messages without a traceback for mistakes of the user."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters import registry
from conformance.commands.cli import main
from conformance.results.reader import read
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem
from tests.conftest import FAKES, REJECTED_CASES, ROOT


def run(*arguments: str) -> int:
    return main(["run", *arguments])


def fake(name: str) -> list[str]:
    return ["-i", f"{FAKES}:{name}"]


def test_a_faithful_implementation_conforms(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cases", *fake("Faithful")) == 0
    printed = capsys.readouterr().out
    assert "3 pass" in printed
    assert "3/3" in printed
    assert printed.splitlines()[-1] == "page: conformance-report/index.html"
    assert (project / "conformance-report" / "index.html").exists()
    report = read(project / "conformance-report" / "results.jsonl")
    assert report.complete
    assert [result.status for result in report.results] == ["pass"] * 3
    assert "INCOMPLETE" not in (project / "conformance-report" / "report.md").read_text()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("name", "code", "counts"),
    [
        ("Wrong", 1, {"fail": 3}),
        ("Raises", 1, {"error": 3}),
        ("CallsExit", 1, {"error": 3}),
        ("Mutates", 1, {"error": 3}),
        ("Picky", 0, {"pass": 1, "unsupported": 2}),
        ("Prints", 0, {"pass": 3}),
    ],
)
def test_exit_codes_and_counts(capfd: pytest.CaptureFixture[str], name: str, code: int, counts: dict[str, int]) -> None:
    assert run("cases", *fake(name), "--json", "--output", "out", "--no-diagnosis") == code
    summary = json.loads(capfd.readouterr().out)
    assert summary["counts"] == counts
    assert summary["exit_code"] == code
    assert Path(summary["results"]).is_file()


@pytest.mark.usefixtures("project", "without_workers")
def test_deviations_are_shown_with_commands_that_run_them_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cases", *fake("Wrong"), "-k", "plain", "--no-diagnosis") == 1
    printed = capsys.readouterr().out
    assert "fail cases/small.yaml::plain[wrong]" in printed
    assert f"conformance run cases/small.yaml -i {FAKES}:Wrong -k cases/small.yaml::plain" in printed
    assert f"pytest 'cases/small.yaml::plain[wrong]' --conformance-implementation {FAKES}:Wrong" in printed


@pytest.mark.usefixtures("without_workers")
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (["-k", "ragged or both-ways"], 2),
        (["--tag", "few"], 1),
        (["--dtype", "float64"], 1),
        (["-k", "ragged", "--dtype", "float32"], 1),
    ],
)
def test_cases_are_selected(project: Path, options: list[str], rows: int) -> None:
    run("cases", *fake("Faithful"), *options)
    assert len(read(project / "conformance-report" / "results.jsonl").results) == rows


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "cases", "-i", "no-such"], 2, "no implementation is named 'no-such'"),
        (["run", "cases", *fake("Absent")], 3, "install with: pip install a-framework"),
        (["run", "none.yaml", *fake("Faithful")], 2, "none.yaml"),
        (["run", "cases", *fake("Faithful"), "-k", "a and"], 2, "expected a word at the end"),
        (["run", "cases", *fake("Faithful"), "-k", "nothing-like-it"], 2, "none of the 3 cases is selected"),
        (["run", "cases", *fake("Faithful"), "--output", "cases/small.yaml"], 3, "cannot be written"),
        (["check", "bad.yaml"], 2, "bad.yaml:2:"),
        (["report", "bad.yaml"], 2, "bad.yaml:1: not a results file"),
        (["report", "none.jsonl"], 2, "none.jsonl: cannot be read"),
    ],
)
def test_mistakes_are_explained(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    (project / "bad.yaml").write_text("cases:\n  one: {input_sise: 3}\n")
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err + printed.out


@pytest.mark.parametrize("arguments", [["run", "--max-fail", "0"], ["run", "--dtype", "float"], ["walk"], []])
def test_an_invalid_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: conformance" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_check_lists_all_cases_that_cannot_be_judged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    assert main(["check", "cases"]) == 2
    printed = capsys.readouterr().err
    assert "cases/small.yaml:4: plain cannot be judged: rounding in float32 is amplified" in printed
    assert "cases/small.yaml:6: both-ways cannot be judged: rounding in float64 is amplified" in printed


@pytest.fixture
def rejected(project: Path) -> Path:
    """Adds ``cases/rejected.yaml`` to the project, and returns the path of the results file."""
    (project / "cases" / "rejected.yaml").write_text(REJECTED_CASES)
    return project / "conformance-report" / "results.jsonl"


def found(results: Path) -> dict[tuple[str, str], tuple[str, bool]]:
    """Returns status and ``rejected`` of each row, by implementation and name of the case."""
    rows = read(results).results
    return {(row.implementation, row.case.split("::")[1]): (row.status, row.rejected) for row in rows}


REASON = "cannot be judged: the reference overflows float64"
REJECTED = f"cases/rejected.yaml:3: overflows {REASON}"


@pytest.mark.usefixtures("without_workers")
def test_a_case_that_cannot_be_judged_does_not_end_the_run(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cases/rejected.yaml", *fake("Wrong"), *fake("Faithful"), "--no-diagnosis") == 2
    printed = capsys.readouterr().out
    assert printed.count(REJECTED) == 1
    assert printed.index(REJECTED) < printed.index("fail cases/rejected.yaml::")
    assert found(rejected) == {
        ("wrong", "overflows"): ("not-run", True),
        ("wrong", "overflows-float16"): ("fail", False),
        ("wrong", "plain"): ("fail", False),
        ("faithful", "overflows"): ("not-run", True),
        ("faithful", "overflows-float16"): ("pass", False),
        ("faithful", "plain"): ("pass", False),
    }
    report = read(rejected)
    assert report.complete
    assert all(row.reason.startswith(REASON) for row in report.results if row.rejected)


@pytest.mark.usefixtures("without_workers")
def test_a_case_that_cannot_be_judged_under_the_profile_of_an_adapter_is_rejected(
    rejected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("cases/rejected.yaml", *fake("DeclaresFloat16"), *fake("Faithful"))
    assert run(*arguments, "-k", "overflows-float16 or plain") == 2
    assert "cannot be judged" not in capsys.readouterr().out
    assert found(rejected) == {
        ("declares-float16", "overflows-float16"): ("not-run", True),
        ("declares-float16", "plain"): ("pass", False),
        ("faithful", "overflows-float16"): ("pass", False),
        ("faithful", "plain"): ("pass", False),
    }


@pytest.mark.usefixtures("rejected", "without_workers")
def test_the_json_summary_lists_rejected_cases(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("cases/rejected.yaml", *fake("DeclaresFloat16"), "--json") == 2
    printed = capfd.readouterr()
    summary = json.loads(printed.out)
    assert summary["exit_code"] == 2
    assert summary["counts"] == {"pass": 1, "not-run": 2}
    assert summary["deviations"] == []
    assert {row["case"]: row["status"] for row in summary["rejected"]} == {
        "cases/rejected.yaml::overflows": "not-run",
        "cases/rejected.yaml::overflows-float16": "not-run",
    }
    assert all(row["reason"].startswith("cannot be judged: ") for row in summary["rejected"])
    assert REJECTED in printed.err


@pytest.mark.usefixtures("without_workers")
def test_a_run_with_rejected_cases_can_be_resumed(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("cases/rejected.yaml", *fake("Faithful"), *fake("Wrong"), "--no-diagnosis")
    assert run(*arguments, "-x") == 2
    assert not read(rejected).complete
    begun = found(rejected)
    assert begun["faithful", "overflows"] == ("not-run", True)
    assert ("wrong", "plain") not in begun
    assert run(*arguments, "--resume") == 2
    assert read(rejected).complete
    assert len(read(rejected).results) == 6
    assert begun.items() <= found(rejected).items()
    assert run(*arguments, "--resume") == 2
    assert len(read(rejected).results) == 6
    assert capsys.readouterr().out.count(REJECTED) == 3


@pytest.mark.usefixtures("without_workers")
def test_a_run_stops_after_enough_deviations_and_can_be_resumed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("cases", *fake("Wrong"), "--no-diagnosis")
    assert run(*arguments, "-x") == 1
    report = read(project / "conformance-report" / "results.jsonl")
    assert (len(report.results), report.complete) == (1, False)
    assert "--resume" in capsys.readouterr().out
    assert run(*arguments, "--resume") == 1
    report = read(project / "conformance-report" / "results.jsonl")
    assert (len({result.case for result in report.results}), report.complete) == (3, True)


def test_an_interrupted_run_can_be_resumed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("cases", "--in-process", *fake("Interrupts")) == 130
    printed = capsys.readouterr().out
    assert f"conformance run cases --in-process -i {FAKES}:Interrupts --resume" in printed
    assert "INCOMPLETE" in (project / "conformance-report" / "report.md").read_text()
    monkeypatch.setenv("RESUMED", "1")
    assert run("cases", "--in-process", *fake("Interrupts"), "--resume") == 0
    assert read(project / "conformance-report" / "results.jsonl").complete


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_during_the_reference_keeps_the_results(
    project: Path, jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect = Oracle.expect

    def interrupt(oracle: Oracle, problem: Problem, *rest: Any) -> Expectation:
        if problem.case.name == "ragged":
            raise KeyboardInterrupt
        return expect(oracle, problem, *rest)

    results = project / "conformance-report" / "results.jsonl"
    arguments = ("cases", "--in-process", "-j", jobs, *fake("Faithful"), *fake("Views"))
    with monkeypatch.context() as patch:
        patch.setattr(Oracle, "expect", interrupt)
        patch.setattr("conformance.commands.run.LONG_SECONDS", 0.0)
        assert run(*arguments) == 130
    assert not read(results).complete
    kept = {result.identity for result in read(results).results}
    assert kept
    assert run(*arguments, "--resume") == 0
    assert read(results).complete
    assert kept <= {result.identity for result in read(results).results}


LARGE_CASES = """defaults: {input_size: 4, hidden_size: 5, seq_len: 6, batch: 3}
cases:
  plain: {}
  large: {seq_len: 65536, batch: 65536, hidden_size: 65536}
"""


@pytest.mark.usefixtures("project", "without_workers")
def test_a_case_that_is_too_large_is_not_run_and_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cases/large.yaml").write_text(LARGE_CASES)
    assert run("cases/large.yaml", *fake("Faithful"), "--max-memory", "2GB") == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert "cases/large.yaml:4: large cannot be judged: needs about " in printed
    assert "of memory, but only 2.0 GB are available. Use smaller sizes, or `--max-memory " in printed
    found = {result.case.split("::")[1]: result for result in read(Path("conformance-report/results.jsonl")).results}
    assert {name: (result.status, result.rejected) for name, result in found.items()} == {
        "plain": ("pass", False),
        "large": ("not-run", True),
    }
    assert run("cases/large.yaml", *fake("Faithful"), "--max-memory", "9999999TB") == 2
    assert "CPU seconds for the reference and the budget, but the limit is 7,200. " in capsys.readouterr().out


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", ["check", "power"])
def test_other_commands_refuse_a_case_that_is_too_large(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cases/large.yaml").write_text(LARGE_CASES)
    assert main([command, "cases/large.yaml", "--max-memory", "2GB"]) == 2
    assert capsys.readouterr().err.startswith("cases/large.yaml:4: large cannot be judged: needs about ")


@pytest.mark.usefixtures("project")
def test_a_limit_of_the_environment_that_is_invalid_is_a_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFORMANCE_MAX_MEMORY", "much")
    assert main(["check", "cases"]) == 2
    assert "CONFORMANCE_MAX_MEMORY must be an amount of memory, such as 24GB or 500MB, not 'much'" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("without_workers")
def test_resuming_with_other_cases_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("cases", *fake("Faithful"))
    (project / "cases" / "small.yaml").write_text(
        (project / "cases" / "small.yaml").read_text().replace("seq_len: 5", "seq_len: 6")
    )
    assert run("cases", *fake("Faithful"), "--resume") == 2
    assert "cannot resume this run: `cases` was" in capsys.readouterr().err


@pytest.mark.usefixtures("without_workers")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_ends_the_run_with_exit_code_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "out").mkdir()
    (project / "out" / "results.jsonl").symlink_to("/dev/full")
    assert run("cases", *fake("Faithful"), "--output", "out") == 3
    assert "results.jsonl: cannot be written: No space left" in capsys.readouterr().err


@pytest.mark.usefixtures("without_workers")
def test_a_missing_implementation_does_not_stop_the_others(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"absent": "tests.fakes:Absent", "faithful": "tests.fakes:Faithful", "expensive": "tests.fakes:Expensive"}
    monkeypatch.setattr(registry, "registered", lambda: names)
    assert run("cases") == 0
    printed = capsys.readouterr().out
    assert "not run, not installed here: absent\n  `conformance doctor` shows what each of them needs" in printed
    assert "4 pass" in printed
    report = read(project / "conformance-report" / "results.jsonl")
    assert report.planned == {"faithful": 3, "expensive": 1}
    assert "a_missing_framework" in report.header.absent["absent"]


@pytest.mark.usefixtures("project")
def test_check_counts_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "cases"]) == 0
    assert "3  cases, all valid" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_list_names_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "cases", "-k", "both"]) == 0
    assert capsys.readouterr().out == (
        "cases/small.yaml::both-ways  (bidirectional, gradients, float64)\n1 of 3 cases\n"
    )


def test_list_names_implementations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--implementations"]) == 0
    assert "torch.nn.LSTMCell" in capsys.readouterr().out


def test_list_names_divergences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--divergences"]) == 0
    assert "keras-nan-in-padding" in capsys.readouterr().out


def test_list_has_no_markdown_for_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--markdown"]) == 2
    assert "--implementations or --divergences" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "page"), [("--implementations", "implementations.md"), ("--divergences", "findings.md")]
)
def test_generated_pages_are_current(option: str, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", option, "--markdown"])
    written = (ROOT / "docs" / page).read_text()
    assert written == capsys.readouterr().out, f"run: conformance list {option} --markdown > docs/{page}"


def test_repro_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repro", "keras-nan-in-padding"]) == 0
    compile(capsys.readouterr().out, "repro.py", "exec")


def test_repro_prints_a_report_of_what_happens_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("conformance.known.divergences.REPRODUCTIONS", tmp_path)
    monkeypatch.setattr("conformance.known.issue.REPRODUCTIONS", tmp_path)
    monkeypatch.setattr(
        "conformance.adapters.installed.version", lambda name: {"onnxruntime": "1.30", "numpy": "2"}[name]
    )
    script = tmp_path / "onnxruntime_clip.py"
    for code in (1, 0):
        script.write_text(f"import sys\nprint('clipped: False')\nprint('log', file=sys.stderr)\nsys.exit({code})\n")
        assert main(["repro", "onnxruntime-clip", "--issue"]) == code
        printed = capsys.readouterr()
        assert "- onnxruntime 1.30\n- numpy 2\n" in printed.out
        assert "```text\nclipped: False\n```" in printed.out
        assert ("does not happen here" in printed.err) == (code == 0)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("tfjs-one-step", 2, "runs only Python scripts"), ("mnn-clip", 3, "MNN is not installed")],
)
def test_a_report_needs_a_script_that_runs_here(
    name: str, code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.adapters.installed.version", lambda _: "")
    assert main(["repro", name, "--issue"]) == code
    assert message in capsys.readouterr().err


def test_an_unknown_divergence_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repro", "keras-nan-in-paddin"]) == 2
    assert "did you mean 'keras-nan-in-padding'" in capsys.readouterr().err


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "cases" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.usefixtures("without_workers")
def test_report_renders_a_results_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("cases", *fake("Picky"))
    capsys.readouterr()
    assert main(["report", "conformance-report/results.jsonl"]) == 0
    assert capsys.readouterr().out == (project / "conformance-report" / "report.md").read_text()
    assert main(["report", "conformance-report/results.jsonl", "--output", "again.md"]) == 0
    assert (project / "again.md").read_text() == (project / "conformance-report" / "report.md").read_text()


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list"], ["list", "--implementations"]])
def test_no_framework_is_imported_before_it_runs(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom conformance.commands.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_help_imports_only_the_standard_library() -> None:
    code = (
        "import sys\nfrom conformance.commands.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'numpy', 'pydantic', 'rich', 'yaml'} & set(sys.modules)\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout


@pytest.mark.usefixtures("project")
def test_a_closed_pipe_gives_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "conformance", "schema"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.usefixtures("project")
def test_a_run_ends_when_the_reader_closes_the_pipe() -> None:
    command = [sys.executable, "-m", "conformance", "run", "cases", *fake("Wrong"), "--no-diagnosis"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [(">&-", 0, ""), (">/dev/full", 3, "standard output: cannot be written: No space left on device\n")],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_unwritable_standard_output_gives_no_traceback(redirection: str, code: int, words: str) -> None:
    command = f"{sys.executable} -m conformance schema {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, words)


def test_a_time_limit_has_a_maximum(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--timeout", "9" * 20])
    assert "must be at most 1000000 seconds" in capsys.readouterr().err


@pytest.mark.usefixtures("without_workers")
def test_a_run_prunes_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "cache" / "ab" / "old"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"x" * 100)
    os.utime(old, (1, 1))
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("conformance.verdict.oracle._MAX_CACHE_BYTES", 10**9)
    arguments = ["run", "-i", f"{FAKES}:Faithful", "-k", "core.yaml::one-layer", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert old.exists()
    monkeypatch.setattr("conformance.verdict.oracle._MAX_CACHE_BYTES", 0)
    assert main(arguments) == 0
    assert not old.exists()
    capsys.readouterr()

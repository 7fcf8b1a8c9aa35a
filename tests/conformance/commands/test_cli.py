"""The command line: exit codes, what is printed where, and that no user's mistake gives a traceback."""

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
from tests.conftest import FAKES, ROOT


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
        ("AsksToExit", 1, {"error": 3}),
        ("Mutates", 1, {"error": 3}),
        ("Picky", 0, {"pass": 1, "unsupported": 2}),
        ("Prints", 0, {"pass": 3}),
    ],
)
def test_exit_codes_and_counts(capfd: pytest.CaptureFixture[str], name: str, code: int, counts: dict[str, int]) -> None:
    assert run("cases", *fake(name), "--json", "--output", "out") == code
    summary = json.loads(capfd.readouterr().out)
    assert summary["counts"] == counts
    assert summary["exit_code"] == code
    assert Path(summary["results"]).is_file()


@pytest.mark.usefixtures("project")
def test_deviations_are_shown_with_the_commands_that_run_them_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cases", *fake("Wrong"), "-k", "plain") == 1
    printed = capsys.readouterr().out
    assert "fail cases/small.yaml::plain[wrong]" in printed
    assert f"conformance run cases/small.yaml -i {FAKES}:Wrong -k cases/small.yaml::plain" in printed
    assert f"pytest 'cases/small.yaml::plain[wrong]' --conformance-implementation {FAKES}:Wrong" in printed


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
        (["run", "cases", *fake("Faithful"), "-k", "a and"], 2, "a word is missing"),
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
def test_a_wrong_command_line_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: conformance" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_chaotic_case_is_refused_by_run_and_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    assert run("cases", *fake("Zeros")) == 2
    assert main(["check", "cases"]) == 2
    printed = capsys.readouterr().err
    assert "cases/small.yaml:4: plain cannot be judged" in printed
    assert "cases/small.yaml:6: both-ways cannot be judged" in printed


def test_a_run_stops_after_enough_deviations_and_goes_on(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cases", *fake("Wrong"), "-x") == 1
    report = read(project / "conformance-report" / "results.jsonl")
    assert (len(report.results), report.complete) == (1, False)
    assert "--resume" in capsys.readouterr().out
    assert run("cases", *fake("Wrong"), "--resume") == 1
    report = read(project / "conformance-report" / "results.jsonl")
    assert (len({result.case for result in report.results}), report.complete) == (3, True)


def test_an_interrupted_run_is_resumed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("cases", "--in-process", *fake("Interrupts")) == 130
    printed = capsys.readouterr().out
    assert f"conformance run cases --in-process -i {FAKES}:Interrupts --resume" in printed
    assert "INCOMPLETE" in (project / "conformance-report" / "report.md").read_text()
    monkeypatch.setenv("CALM", "1")
    assert run("cases", "--in-process", *fake("Interrupts"), "--resume") == 0
    assert read(project / "conformance-report" / "results.jsonl").complete


def test_resuming_other_cases_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("cases", *fake("Faithful"))
    (project / "cases" / "small.yaml").write_text(
        (project / "cases" / "small.yaml").read_text().replace("seq_len: 5", "seq_len: 6")
    )
    assert run("cases", *fake("Faithful"), "--resume") == 2
    assert "its cases differ" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_ends_the_run_with_three(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "out").mkdir()
    (project / "out" / "results.jsonl").symlink_to("/dev/full")
    assert run("cases", *fake("Faithful"), "--output", "out") == 3
    assert "results.jsonl: cannot be written: No space left" in capsys.readouterr().err


def test_a_missing_implementation_does_not_stop_the_others(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"absent": "tests.fakes:Absent", "faithful": "tests.fakes:Faithful", "expensive": "tests.fakes:Expensive"}
    monkeypatch.setattr(registry, "registered", lambda: names)
    assert run("cases") == 0
    printed = capsys.readouterr().out
    assert "not installed, not run: absent\n  `conformance doctor` says what they need" in printed
    assert "4 pass" in printed
    report = read(project / "conformance-report" / "results.jsonl")
    assert report.planned == {"faithful": 3, "expensive": 1}
    assert "a_framework_that_is_not_there" in report.header.absent["absent"]


@pytest.mark.usefixtures("project")
def test_check_counts_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "cases"]) == 0
    assert "3  cases, all right" in capsys.readouterr().out


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


def test_cases_have_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--markdown"]) == 2
    assert "--implementations or --divergences" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "page"), [("--implementations", "implementations.md"), ("--divergences", "findings.md")]
)
def test_generated_pages_are_current(option: str, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", option, "--markdown"])
    written = (ROOT / "docs" / page).read_text()
    assert written == capsys.readouterr().out, f"write it anew: conformance list {option} --markdown > docs/{page}"


def test_repro_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repro", "keras-nan-in-padding"]) == 0
    compile(capsys.readouterr().out, "repro.py", "exec")


def test_an_unknown_divergence_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repro", "keras-nan-in-paddin"]) == 2
    assert "did you mean 'keras-nan-in-padding'" in capsys.readouterr().err


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "cases" in json.loads(capsys.readouterr().out)["properties"]


def test_report_renders_a_results_file_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("cases", *fake("Picky"))
    capsys.readouterr()
    assert main(["report", "conformance-report/results.jsonl"]) == 0
    assert capsys.readouterr().out == (project / "conformance-report" / "report.md").read_text()
    assert main(["report", "conformance-report/results.jsonl", "--output", "again.md"]) == 0
    assert (project / "again.md").read_text() == (project / "conformance-report" / "report.md").read_text()


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list"], ["list", "--implementations"]])
def test_no_framework_is_imported_before_it_runs(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom conformance.commands.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_help_needs_the_standard_library_alone() -> None:
    code = (
        "import sys\nfrom conformance.commands.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'numpy', 'pydantic', 'rich', 'yaml'} & set(sys.modules)\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout


@pytest.mark.usefixtures("project")
def test_a_reader_that_has_gone_gives_no_traceback() -> None:
    command = f"{sys.executable} -m conformance schema | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [(">&-", 0, ""), (">/dev/full", 3, "standard output: cannot be written: No space left on device\n")],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_an_output_that_takes_nothing_gives_no_traceback(redirection: str, code: int, words: str) -> None:
    command = f"{sys.executable} -m conformance schema {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, words)


def test_seconds_have_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--timeout", "9" * 20])
    assert "must be at most 1000000 seconds" in capsys.readouterr().err


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

"""The GitHub action: its script, run in a clean folder, and how ``action.yml`` calls it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conformance.results.runs import report, row
from tests.conftest import FAKES, ROOT

SCRIPT = ROOT / ".github" / "action" / "check.sh"
INPUTS = ("IMPLEMENTATION", "CASES", "ARGUMENTS", "SHARD", "MERGE", "BASELINE", "OUTPUT")

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def check(**inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs the script in the current folder, with the variables that GitHub sets."""
    variables = dict.fromkeys(INPUTS, "") | {"FAIL_ON": "new-fail", "OUTPUT": "out", **inputs}
    variables |= {"GITHUB_OUTPUT": "outputs", "GITHUB_STEP_SUMMARY": "summary.md"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **variables, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def test_a_deviation_fails_the_job_and_annotates_the_case(project: Path) -> None:
    names = f"{FAKES}:Wrong\n{FAKES}:Faithful\n"
    job = check(
        IMPLEMENTATION=names,
        CASES="cases/small.yaml\n",
        ARGUMENTS="--in-process\n--no-diagnosis\n-kplain\n",
        SHARD="1/1",
    )
    assert job.returncode == 1, job.stderr
    assert "\n::error file=cases/small.yaml,line=4,title=plain deviates::wrong: fail: grad.input is off" in job.stdout
    assert (project / "outputs").read_text() == "results=out/results.jsonl\n"
    assert "faithful" in (project / "summary.md").read_text()
    assert {path.name for path in (project / "out").iterdir()} >= {"index.html", "junit.xml", "badges", "results.jsonl"}


@pytest.mark.parametrize(("before", "code"), [("pass", 1), ("fail", 0)])
def test_with_a_baseline_only_changes_fail_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts/1").mkdir(parents=True)
    report(Path("parts/1/results.jsonl"), row("one"), row("two", "fail"))
    report(Path("old.jsonl"), row("one"), row("two", before))
    job = check(MERGE="parts/*/results.jsonl", BASELINE="old.jsonl")
    assert job.returncode == code, job.stderr
    assert "results: out/results.jsonl: 2 rows from 1 file" in job.stdout
    assert ("### Newly failing: 1" in Path("summary.md").read_text()) == bool(code)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"MERGE": "parts/*/results.jsonl"}, "no file matches the input merge: parts/*/results.jsonl"),
        ({"IMPLEMENTATION": "mylib.LTSM"}, "mylib.LTSM"),
    ],
)
def test_a_wrong_input_fails_the_job_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    job = check(**inputs)
    assert job.returncode == 2
    assert message in job.stdout + job.stderr


def test_every_input_reaches_the_script() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (step,) = (step for step in action["runs"]["steps"] if step.get("id") == "check")
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", SCRIPT.read_text(encoding="utf-8"))) - {"GITHUB_OUTPUT"}
    assert used - {"GITHUB_STEP_SUMMARY"} <= step["env"].keys()
    passed = {match[1] for text in step["env"].values() if (match := re.fullmatch(r"\$\{\{ inputs\.(\S+) \}\}", text))}
    assert passed == action["inputs"].keys() - {"artifact"}

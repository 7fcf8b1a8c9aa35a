"""Measures the CPU time of the suite itself, without the frameworks, on the shipped cases with a warm cache.

=====================================================  ======
the suite's share of ``conformance run``               ≤ 0.25
``pytest -n auto`` divided by ``conformance run``      ≤ 1.3
=====================================================  ======
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import make_parser
from conformance.cases.casefile import shipped_cases
from conformance.results.reader import Report, read
from conformance.results.summary import FRAMEWORK_PHASES

ROOT = Path(__file__).resolve().parents[1]


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """Runs a command. Returns the CPU seconds of its process and all child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=make_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_environment() -> dict[str, str]:
    """Returns environment variables that select the code of this checkout and keep compiled bytecode."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    bytecode = Path(tempfile.gettempdir()) / "conformance-pycache"
    return variables | {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(bytecode)}


def framework_seconds(report: Report) -> float:
    """Returns the CPU seconds in which implementations imported their frameworks and solved problems."""
    assert report.footer is not None, "the run is incomplete"
    return sum(float(report.footer.seconds.get(phase, 0.0)) for phase in FRAMEWORK_PHASES)


def main() -> None:
    """Warms the cache, then measures ``conformance run`` and pytest."""
    make_parser("suite", __doc__).parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = [python, "-m", "conformance", "run", "--output", name]
        under_pytest = [python, "-m", "pytest", "-q", "-p", "conformance.pytest.plugin", "-p", "no:cacheprovider"]
        under_pytest += ["-n", "auto", "--dist=worksteal", "--conformance-report", f"{name}/pytest.jsonl"]
        under_pytest += [str(shipped_cases())]
        cpu_seconds(run, folder)
        cpu_seconds([*under_pytest, "-k", "torch.nn.LSTM and core"], shipped_cases().parent)
        direct = cpu_seconds(run, folder)
        report = read(folder / "results.jsonl")
        parallel = cpu_seconds(under_pytest, shipped_cases().parent)
        rows = read(folder / "pytest.jsonl")
    frameworks = framework_seconds(report)
    print(f"{len(report.results)} rows; CPU time: conformance run {direct:.1f} s, pytest -n auto {parallel:.1f} s")
    print(f"the suite's share of conformance run: {1 - frameworks / direct:.2f} (limit 0.25)")
    spent = report.footer.seconds if report.footer else {}
    for phase, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {seconds / direct:5.2f} {phase}")
    print(f"pytest -n auto divided by conformance run: {parallel / direct:.2f} (limit 1.3)")
    print(f"  frameworks alone: {framework_seconds(rows) / frameworks:.2f}")


if __name__ == "__main__":
    main()

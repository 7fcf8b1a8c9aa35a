"""What the suite costs beside the frameworks that it drives: ratios of CPU time on the shipped cases, warm cache.

python -m benchmarks.suite

=====================================================  ======
share of ``conformance run`` that is the suite's own   ≤ 0.25
``pytest -n auto`` to ``conformance run``              ≤ 1.3
=====================================================  ======
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from conformance.cases.casefile import shipped_cases
from conformance.results.reader import Report, read
from conformance.results.summary import FRAMEWORK_PHASES

ROOT = Path(__file__).resolve().parents[1]


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """CPU seconds of a command and of all processes that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def environment() -> dict[str, str]:
    """This checkout's own code, and compiled code kept, as it is on a user's machine."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "conformance-pycache")}


def framework_seconds(report: Report) -> float:
    """CPU seconds of the implementations' own imports and solutions."""
    assert report.footer is not None, "the run did not come to its end"
    return sum(float(report.footer["seconds"].get(phase, 0.0)) for phase in FRAMEWORK_PHASES)


def main() -> None:
    """Runs both doors on the shipped cases, once to warm the cache, then to measure."""
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
    print(f"{len(report.results)} rows; conformance run {direct:.1f} s of CPU, pytest -n auto {parallel:.1f} s")
    print(f"the suite's own share of conformance run: {1 - frameworks / direct:.2f} (at most 0.25)")
    for phase, seconds in sorted((report.footer or {})["seconds"].items(), key=lambda item: -item[1]):
        print(f"  {seconds / direct:5.2f} {phase}")
    print(f"pytest -n auto to conformance run: {parallel / direct:.2f} (at most 1.3)")
    print(f"  frameworks under pytest: {framework_seconds(rows) / frameworks:.2f} of those in conformance run")


if __name__ == "__main__":
    main()

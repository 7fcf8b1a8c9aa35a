"""Changes the code that decides a verdict, one place at a time, and lists the changes that no test notices.

It runs mutmut on each module in a copy of the project, with the tests of this module only. ``--sample`` runs a random
sample. Prints a row of the table in ``docs/mutants.md`` and the surviving changes for each module.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.arguments import make_parser

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")

_VERDICT = "tests/conformance/verdict"
TESTS: dict[str, tuple[str, ...]] = {
    "conformance/adapters/layout.py": ("tests/conformance/adapters/test_layout.py",),
    "conformance/known/expected.py": ("tests/conformance/known/test_expected.py",),
    "conformance/results/compare.py": ("tests/conformance/results/test_compare.py",),
    "conformance/results/merge.py": ("tests/conformance/results/test_merge.py",),
    "conformance/run/runner.py": ("tests/conformance/run/test_runner.py", "tests/conformance/run/test_smaller.py"),
    "conformance/verdict/error_ratio.py": (f"{_VERDICT}/test_judge.py", f"{_VERDICT}/test_evidence.py"),
    "conformance/verdict/evidence.py": (f"{_VERDICT}/test_evidence.py",),
    "conformance/verdict/judge.py": (f"{_VERDICT}/test_judge.py", f"{_VERDICT}/test_input_nan.py"),
    "conformance/verdict/oracle.py": (f"{_VERDICT}/test_oracle.py", f"{_VERDICT}/test_range.py"),
    "conformance/verdict/problem.py": (f"{_VERDICT}/test_problem.py", f"{_VERDICT}/test_input_nan.py"),
    "conformance/verdict/range.py": (f"{_VERDICT}/test_range.py",),
    "reference/error_models.py": (
        "tests/reference/test_error_models.py",
        "tests/reference/test_quantization.py",
        "tests/reference/test_rounding.py",
    ),
    "reference/rounding.py": ("tests/reference/test_rounding.py", f"{_VERDICT}/test_budgets.py"),
}
"""Modules that decide a verdict, and the tests that must notice a change of them."""

KILLED = ("killed", "timeout")
"""Statuses of mutants that a test notices."""


def copy_project(module: str) -> Path:
    """Copies the files of the project, and configures mutmut for one module. Returns the folder of the copy."""
    tree = BUILD / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(tree, ignore_errors=True)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    settings = {
        "source_paths": ["conformance", "reference"],
        "only_mutate": [module],
        "pytest_add_cli_args_test_selection": list(TESTS[module]),
        "pytest_add_cli_args": ["-n0", "-p", "no:cacheprovider"],
        "also_copy": ["benchmarks", "cases", "conftest.py"],
    }
    with (tree / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return tree


def mutmut(tree: Path, *arguments: str) -> str:
    """Runs mutmut in a copy of the project, and returns what it prints."""
    # The copy must import its own modules.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    command = [str(MUTMUT), *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def statuses(tree: Path) -> dict[str, str]:
    """Returns the status of each mutant by its name."""
    lines = (line.strip().rpartition(": ") for line in mutmut(tree, "results", "--all", "true").splitlines())
    return {name: status for name, _, status in lines if "__mutmut_" in name}


def run(module: str, sample: int, seed: int) -> None:
    """Runs mutants of a module and prints the results."""
    tree = copy_project(module)
    # It creates the mutants before it finds that it has none of this name.
    created = mutmut(tree, "run", "none")
    names = sorted(statuses(tree))
    if not names:
        raise SystemExit(f"mutmut created no mutants of {module}:\n{created}")
    chosen = random.Random(seed).sample(names, min(sample or len(names), len(names)))
    mutmut(tree, "run", "--max-children", "1", *chosen)
    found = statuses(tree)
    survivors = [name for name in chosen if found[name] not in KILLED]
    killed = len(chosen) - len(survivors)
    print(f"| `{module}` | {len(names)} | {len(chosen)} | {killed} ({killed / len(chosen):.0%}) |", flush=True)
    for name in survivors:
        print(f"\n{found[name]}: {mutmut(tree, 'show', name)}", flush=True)


def main() -> None:
    """Runs mutants of the chosen modules."""
    parser = make_parser("mutants", __doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="modules to change, as paths; default: all")
    parser.add_argument("--sample", type=int, default=0, help="number of mutants of each module to run; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    args = parser.parse_args()
    if unknown := [module for module in args.modules if module not in TESTS]:
        parser.error(f"no tests are listed for {', '.join(unknown)}. Choose from {', '.join(TESTS)}")
    for module in args.modules or TESTS:
        run(module, args.sample, args.seed)


if __name__ == "__main__":
    main()

"""The wheel alone, unpacked in a folder with spaces and used far from the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CASES, FAKES, FEW_PLUGINS, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel and unpacks it, as an installer does. Returns the folder."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site packages")
    return folder / "site packages"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Returns a folder with a case file, far from the clone."""
    (tmp_path / "my cases" / "cases").mkdir(parents=True)
    (tmp_path / "my cases" / "cases" / "small.yaml").write_text(CASES)
    return tmp_path / "my cases"


def run(wheel: Path, home: Path, *words: str) -> str:
    """Runs a module of the wheel. Returns what it prints."""
    command = [sys.executable, "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


CLI = "conformance.commands.cli"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([CLI, "list", "-k", "one-layer"], "core.yaml::one-layer"),
        ([CLI, "schema"], '"$schema"'),
        ([CLI, "repro", "keras-nan-in-padding"], "import keras"),
        ([CLI, "smoke", f"{FAKES}:Faithful"], "10 of 10"),
        ([CLI, "run", "-i", f"{FAKES}:Faithful", "-k", "core.yaml and one-layer"], "page: conformance-report"),
        (["pytest", *FEW_PLUGINS.split(), "-q", f"--conformance-implementation={FAKES}:Faithful"], "3 passed"),
        (
            [
                "pytest",
                *FEW_PLUGINS.split(),
                f"--conformance-implementation={FAKES}:Faithful",
                "--conformance-shipped=core",
                "-kno-bias",
            ],
            "1 passed",
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_the_wheel_works_without_the_clone(wheel: Path, home: Path, words: list[str], expected: str) -> None:
    assert expected in run(wheel, home, *words)


def test_the_wheel_holds_vectors_that_agree_with_its_reference(wheel: Path, home: Path) -> None:
    vectors = wheel / "conformance" / "_data" / "vectors"
    assert "8 vectors" in run(wheel, home, CLI, "vectors", "check", str(vectors / "core.json"))
    assert {path.suffix for path in (vectors / "runners").iterdir()} >= {".c", ".rs", ".java"}


def test_the_modules_come_from_the_wheel(wheel: Path, home: Path) -> None:
    file = home / "where.py"
    file.write_text("import conformance, reference\nprint(conformance.__file__, reference.__file__, sep='\\n')\n")
    assert all(Path(line).is_relative_to(wheel) for line in run(wheel, home, "where").splitlines())

"""The wheel, installed in a fresh environment in a folder with spaces and used far from the clone."""

import os
import re
import site
import subprocess
import sys
import sysconfig
import tomllib
import venv
from email.parser import Parser
from pathlib import Path

import pytest

from conformance.environments.installer import interpreter
from tests.conftest import CASES, FAKES, FEW_PLUGINS, ROOT

pytest.importorskip("pip", reason="needs pip")
pytest.importorskip("hatch_fancy_pypi_readme", reason="needs the extra dev")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel and installs it in a new environment. Returns the environment's folder.

    The environment finds all other packages where they are installed already. It does not find the clone: a ``.pth``
    file adds folders, but not what the ``.pth`` files of an editable install in these folders add.
    """
    folder = tmp_path_factory.mktemp("a folder with spaces")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, symlinks=sys.platform != "win32")
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "--python", str(interpreter(environment)), "install", *options, str(wheel)]
    subprocess.run(install, env=variables(), check=True, capture_output=True)
    (packages(environment) / "installed-already.pth").write_text("\n".join(site.getsitepackages()))
    return environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Returns a folder with a case file, far from the clone."""
    home = tmp_path / "my folder"
    (home / "my-cases").mkdir(parents=True)
    (home / "my-cases" / "small.yaml").write_text(CASES)
    (home / "pytest.ini").write_text("[pytest]\nconformance_cases = my-cases\n")
    return home


def packages(environment: Path) -> Path:
    """Returns an environment's folder of packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))


def variables() -> dict[str, str]:
    """Returns the environment variables without the one that could lead to the clone."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(environment: Path, home: Path, program: str, *words: str) -> str:
    """Runs a program of the environment. Returns what it prints."""
    command = [str(interpreter(environment).with_name(program)), *words]
    done = subprocess.run(command, cwd=home, env=variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("doctor", "implementations can run"),
        ("list -k one-layer", "core.yaml::one-layer"),
        ("schema", '"$schema"'),
        ("repro keras-nan-in-padding", "import keras"),
        ("new adapter mylib.LSTM", "created mylib_lstm_adapter.py"),
    ],
)
def test_the_command_works_without_the_clone(environment: Path, home: Path, command: str, expected: str) -> None:
    assert expected in run(environment, home, "conformance", *command.split())


def test_smoke_works_without_the_clone(environment: Path, home: Path) -> None:
    assert "10 of 10" in run(environment, home, "conformance", "smoke", f"{FAKES}:Faithful")


def test_a_run_and_its_report_work_without_the_clone(environment: Path, home: Path) -> None:
    selected = ["-i", f"{FAKES}:Faithful", "-k", "core.yaml and one-layer"]
    assert "page: conformance-report/index.html" in run(environment, home, "conformance", "run", *selected)
    assert "</script>" in (home / "conformance-report" / "index.html").read_text(encoding="utf-8")
    printed = run(environment, home, "conformance", "report", "conformance-report/results.jsonl")
    assert printed.startswith("# LSTM conformance\n\n2 pass\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["my-cases/"], "3 passed"), (["--conformance-shipped=core", "-k", "no-bias"], "1 passed")],
    ids=["own", "shipped"],
)
def test_pytest_runs_cases_without_the_clone(environment: Path, home: Path, words: list[str], expected: str) -> None:
    options = ["-m", "pytest", *FEW_PLUGINS.split(), f"--conformance-implementation={FAKES}:Faithful"]
    assert expected in run(environment, home, "python", *options, *words)


def test_the_wheel_holds_vectors_that_agree_with_its_reference(environment: Path, home: Path) -> None:
    vectors = packages(environment) / "conformance" / "_data" / "vectors"
    assert "8 vectors" in run(environment, home, "conformance", "vectors", "check", str(vectors / "core.json"))
    assert {path.suffix for path in (vectors / "runners").iterdir()} >= {".c", ".rs", ".java"}


def test_the_modules_come_from_the_wheel(environment: Path, home: Path) -> None:
    program = "import conformance, reference; print(conformance.__file__, reference.__file__, sep='\\n')"
    folders = [Path(line).parent for line in run(environment, home, "python", "-c", program).splitlines()]
    assert folders == [packages(environment) / "conformance", packages(environment) / "reference"]


def test_the_description_links_to_the_release_in_the_repository(environment: Path) -> None:
    (file,) = packages(environment).glob("lstm_conformance-*.dist-info/METADATA")
    metadata = Parser().parsestr(file.read_text(encoding="utf-8"))
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    tree = f"{repository}/blob/v{metadata['Version']}/"

    def absolute(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        relative = not target.startswith(("https:", "#"))
        return f"{picture}[{text}]({tree if relative else ''}{target}{'?raw=true' if picture else ''})"

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == re.sub(r"(!?)\[([^\]]*)\]\(([^)]+)\)", absolute, readme)

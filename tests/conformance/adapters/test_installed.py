"""Required packages: absent ones and versions outside an extra's range are reported, here and in other environments."""

import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from conformance.adapters import installed, registry
from conformance.adapters.jax.flax_linen import FlaxLinenLSTMCell
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.run import checkup, implementations
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.start import start_in_environment
from tests import fakes
from tests.conftest import ROOT

FLAX = "flax.linen.LSTMCell"
OLD_FLAX = "flax.linen.LSTMCell needs flax>=0.12, found 0.10.2"
WITHOUT_EXTRA = {
    "brainstate", "chainer", "executorch", "iree", "litert_torch", "mindspore", "mxnet", "onnx2tf", "paddle2onnx",
    "scipy", "sonnet", "tf_keras", "tvm", "tvm_ffi",
}  # fmt: skip
OTHER_NAMES = {"opencv": "cv2", "tf": "tensorflow"}
"""Modules whose name differs from the first part of an implementation's name."""


@pytest.fixture
def with_versions(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Replaces the installed versions of some modules."""

    def replace(found: Mapping[str, str]) -> None:
        actual = installed.version
        monkeypatch.setattr(installed, "version", lambda module: found.get(module) or actual(module))

    return replace


@pytest.fixture
def old_environment(tmp_path: Path) -> str:
    """An interpreter of another environment, where Flax and torch have an older version than the extras allow."""
    for package, version in (("flax", "0.10.2"), ("torch", "2.3.1+cpu")):
        folder = tmp_path / f"{package}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        # Importing an old framework may fail: it must not be tried.
        (tmp_path / f"{package}.py").write_text("raise SystemExit('imported')\n")
    script = tmp_path / "python"
    path, python = shlex.quote(str(tmp_path)), shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {python} "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_the_requirements_are_those_of_the_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    others = ("convert", "dask", "dev", "mutants", "parquet", "release", "site", "versions")
    extras = {extra: lines for extra, lines in project["optional-dependencies"].items() if extra not in others}
    declared = {parse(line) for lines in extras.values() for line in lines if "lstm-conformance" not in line}
    assert {parse(requirement) for requirement in installed.REQUIREMENTS.values()} == declared


def parse(requirement: str) -> tuple[str, str]:
    found = Requirement(requirement)
    return found.name.removesuffix("-cpu"), str(found.specifier)


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_the_first_required_module_defines_the_implementation(name: str) -> None:
    first = registry.load(name).requires[0]
    family = name.partition(".")[0].partition("[")[0]
    assert first == OTHER_NAMES.get(family, family)


def test_every_required_module_has_a_requirement_if_it_has_an_extra() -> None:
    required = {module for name in registry.BUILT_IN for module in registry.load(name).requires}
    assert required == set(installed.REQUIREMENTS) | WITHOUT_EXTRA


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.10.2", OLD_FLAX),
        ("0.12.0rc1", "flax.linen.LSTMCell needs flax>=0.12, found 0.12.0rc1"),
        ("0.12.0", None),
        ("0.13.0.dev20261101", None),
        ("0.12.1+local.7", None),
        ("0.13.0rc1+cpu", None),
        ("1.0", None),
        ("unknown", None),
    ],
)
def test_a_version_must_be_in_the_range(
    with_versions: Callable[[Mapping[str, str]], None], version: str, reason: str | None
) -> None:
    pytest.importorskip("flax")
    with_versions({"flax": version})
    assert installed.missing(FlaxLinenLSTMCell()) == reason


def test_the_metadata_of_all_distributions_is_read_only_if_names_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bool] = []

    def search() -> Mapping[str, list[str]]:
        searched.append(True)
        return {"yaml": ["PyYAML"]}

    monkeypatch.setattr(installed, "_packages_distributions", search)
    assert installed.version.__wrapped__("numpy") == np.__version__
    assert not searched
    assert installed.version.__wrapped__("yaml") == metadata.version("PyYAML")
    assert searched


def test_a_range_may_have_an_upper_bound(
    with_versions: Callable[[Mapping[str, str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(installed, "REQUIREMENTS", {"torch": "torch>=2.4,<2.13"})
    with_versions({"torch": "2.13.0+cpu"})
    assert installed.missing(TorchLSTM()) == "torch.nn.LSTM needs torch>=2.4,<2.13, found 2.13.0+cpu"
    with_versions({"torch": "2.12.1+cpu"})
    assert installed.missing(TorchLSTM()) is None


def test_an_absent_package_is_reported_before_a_wrong_version(
    with_versions: Callable[[Mapping[str, str]], None],
) -> None:
    adapter = FlaxLinenLSTMCell()
    adapter.requires = ("flax", "a_framework_that_is_not_there")
    with_versions({"flax": "0.10.2"})
    assert "a_framework_that_is_not_there, which is not installed" in str(installed.missing(adapter))


def test_other_peoples_adapters_accept_every_version(with_versions: Callable[[Mapping[str, str]], None]) -> None:
    adapter = fakes.Faithful()
    adapter.requires = ("torch",)
    with_versions({"torch": "1.0"})
    assert installed.wrong_version(adapter) is None


def test_a_wrong_version_is_not_run(
    with_versions: Callable[[Mapping[str, str]], None], case: Callable[..., Case]
) -> None:
    pytest.importorskip("flax")
    with_versions({"flax": "0.10.2"})
    result = Runner(Oracle(None)).check(case(), FlaxLinenLSTMCell())
    assert (result.status, result.reason) == ("not-run", OLD_FLAX)


def test_doctor_reports_a_wrong_version(
    with_versions: Callable[[Mapping[str, str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("flax")
    with_versions({"flax": "0.10.2"})
    found = checkup.check_packages(FLAX)
    assert (found.state, found.missing, found.usable) == ("wrong version", OLD_FLAX, False)
    assert main(["doctor", "-i", FLAX]) == 3
    printed = capsys.readouterr().out
    assert f"{FLAX}  wrong version\n" in printed
    assert OLD_FLAX in printed


def test_a_wrong_version_in_another_environment_is_not_run(old_environment: str, case: Callable[..., Case]) -> None:
    worker = start_in_environment(old_environment, FLAX)
    try:
        assert worker.name == "flax.linen.LSTMCell@0.10.2"
        result = Runner(Oracle(None)).check(case(), worker)
        assert (result.status, result.reason) == ("not-run", OLD_FLAX)
        assert implementations.split([worker]) == ([], {worker.name: OLD_FLAX})
    finally:
        worker.close()


def test_the_label_has_the_version_of_the_package_that_defines_the_implementation(old_environment: str) -> None:
    worker = start_in_environment(old_environment, "keras.layers.LSTM[torch]")
    try:
        keras = installed.version("keras").removesuffix(".0")
        assert worker.name == f"keras.layers.LSTM[torch]@{keras}"
        assert installed.missing(worker) == "keras.layers.LSTM[torch] needs torch>=2.4, found 2.3.1+cpu"
    finally:
        worker.close()


def test_a_run_that_names_a_wrong_version_ends_with_3(
    old_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "-i", f"python:{old_environment}:{FLAX}"]) == 3
    assert OLD_FLAX in capsys.readouterr().err


def test_another_environment_needs_the_documented_packages_only() -> None:
    page = (ROOT / "docs" / "other-environments.md").read_text(encoding="utf-8")
    documented = set(page.split("own dependencies and `")[1].split("`")[0].split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dependencies = {Requirement(line).name for line in project["dependencies"]}
    modules = {name: {"PyYAML": "yaml", "pytest-xdist": "xdist"}.get(name, name) for name in dependencies}
    code = f"import sys, conformance.worker.serve; print(*(n for n, m in {modules}.items() if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == documented

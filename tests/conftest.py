"""Fixtures and settings of all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# The same examples in every run, and nothing that depends on the speed of the machine.
settings.register_profile("reproducible", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reproducible")

ROOT = Path(__file__).parents[1]
FAKES = Path(__file__).parent / "fakes.py"
USERS_CACHE = os.environ.get("CONFORMANCE_CACHE", "")

CASES = """\
defaults: {input_size: 3, hidden_size: 4, seq_len: 5, batch: 3}
tags: [small]
cases:
  plain: {tags: [few]}
  ragged: {lengths: ragged}
  both-ways: {direction: bidirectional, dtype: float64}
"""

FEW_PLUGINS = "-p no:cacheprovider -p no:randomly -p no:hypothesispytest -p no:jaxtyping"
"""Options of a pytest process without the plug-ins of other packages, which are slow to import. JAX's imports NumPy."""

REJECTED_CASES = """\
defaults: {input_size: 3, hidden_size: 4, seq_len: 5, batch: 3}
cases:
  overflows: {activations: [relu, relu, relu], values: scale-2, seq_len: 20}
  overflows-float16: {activations: [relu, relu, relu], values: scale-2}
  plain: {}
"""
"""A case that cannot be judged, a case that cannot be judged on an implementation with the precision and range of
float16, and a case that can always be judged."""


@pytest.fixture(autouse=True)
def _no_terminal_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width and the colors of the output do not depend on the terminal in which the tests run."""
    for variable in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from using the user's cache. All tests of a session share one, also those in other workers."""
    base = tmp_path_factory.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    monkeypatch.setenv("CONFORMANCE_CACHE", str(session / "cache"))


@pytest.fixture
def shipped_cache(_own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares expectations with the shipped cases, which run in the same session and use the user's cache."""
    monkeypatch.setenv("CONFORMANCE_CACHE", USERS_CACHE)


@pytest.fixture
def without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs implementations in this process, as on a system without workers.

    A worker takes 0.3 CPU seconds to start, and 2 if it imports a framework.
    """
    monkeypatch.setattr("conformance.system.has_workers", lambda: False)


@pytest.fixture
def unlimited_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the time limits of diagnosis, on which its text may depend, and with them the search for pairs."""
    monkeypatch.setattr("conformance.defects.diagnosis.diagnose.MAX_CPU_SECONDS", 1e9)
    monkeypatch.setattr("conformance.defects.diagnosis.locate.MAX_CPU_SECONDS", 1e9)
    monkeypatch.setattr("conformance.run.diagnoser.UNEXPLAINED_CPU_SECONDS", 0.0)


@pytest.fixture
def without_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the experiments that follow a run with failures without a known cause, up to 40 CPU seconds."""
    monkeypatch.setattr("conformance.run.explaining.explain", lambda *_, **__: [])


NO_DIAGNOSIS = """\
def pytest_collection(session):
    from conformance.run import runner
    runner.diagnose = lambda *_, **__: None
"""
"""A ``conftest.py`` that turns diagnosis off in a pytest process, for tests that do not check it."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Changes to a new directory that contains ``cases/small.yaml``, and returns it."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    return tmp_path

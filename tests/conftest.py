"""What all tests share: a cache of their own, and a small case file."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
FAKES = Path(__file__).parent / "fakes.py"

CASES = """\
defaults: {input_size: 3, hidden_size: 4, seq_len: 5, batch: 3}
tags: [small]
cases:
  plain: {tags: [few]}
  ragged: {lengths: ragged}
  both-ways: {direction: bidirectional, dtype: float64}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor fill the user's cache."""
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with ``cases/small.yaml``."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    return tmp_path

"""Environments are created once for the same requirements, listed and removed."""

import subprocess
from pathlib import Path

import pytest

from conformance.environments import environment, installer
from conformance.errors import MISSING, UserError
from tests.conformance.environments import index

FACTORS = {"1.0": "FACTOR = 1\n", "2.0": "FACTOR = 2\n"}


@pytest.fixture(params=["pip", "uv"])
def with_index(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "pip":
        monkeypatch.setattr(installer, "find_uv", lambda: None)
    elif not installer.find_uv():
        pytest.skip("uv is not installed")
    index.use(tmp_path, monkeypatch, FACTORS)
    return tmp_path


def test_the_same_requirements_share_an_environment(with_index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = environment.provide([f"{index.PACKAGE}==1.0"])
    assert "installing lstm-of-tests==1.0" in capsys.readouterr().err
    assert environment.provide([f"{index.PACKAGE}==1.0"]) == first
    assert capsys.readouterr().err == ""
    code = "import lstm_of_tests; print(lstm_of_tests.FACTOR)"
    assert subprocess.run([first.python, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert first.bytes > 0
    assert not first.yanked

    with pytest.raises(UserError, match=r"cannot install lstm-of-tests==9\.9:\n(.|\n)*9\.9") as error:
        environment.provide([f"{index.PACKAGE}==9.9"])
    assert error.value.exit_code == MISSING
    folder = with_index / "cache" / "environments"
    assert [*folder.iterdir()] == [first.folder]  # Nothing unfinished.
    assert environment.installed() == [first]
    environment.remove_all()
    assert not folder.exists()


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"file.* cannot be written"):
        environment.provide(["anything"])


def test_removing_no_environment_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    environment.remove_all()


def test_uv_installs_from_the_places_of_pip() -> None:
    lines = [
        "global.extra-index-url='https://one.example/simple https://two.example/simple'",
        ":env:.find-links='/some/wheels'",
        "global.no-index='true'",
        "global.timeout='60'",
    ]
    assert list(installer.as_uv_options(lines)) == [
        *("--index", "https://one.example/simple", "--index", "https://two.example/simple"),
        *("--find-links", "/some/wheels", "--no-index"),
    ]

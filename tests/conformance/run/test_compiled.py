"""JAX keeps compiled programs between runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.run import compiled, implementations
from conformance.worker.client import WorkerAdapter
from tests.conftest import FAKES


def test_each_implementation_has_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    names = ["flax.linen.LSTMCell", "keras.layers.LSTM[jax]", "keras.layers.LSTM[jax,unroll]"]
    workers = implementations.load_all(names, isolated=True, cache=tmp_path)
    found = [
        worker._environment["JAX_COMPILATION_CACHE_DIR"] for worker in workers if isinstance(worker, WorkerAdapter)
    ]
    assert [Path(folder).name for folder in found] == [
        "flax.linen.LSTMCell",
        "keras.layers.LSTM-jax-",
        "keras.layers.LSTM-jax-unroll-",
    ]


def test_the_folder_of_the_user_and_other_frameworks_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    [worker] = implementations.load_all([f"{FAKES}:Faithful"], isolated=True, cache=tmp_path)
    assert isinstance(worker, WorkerAdapter)
    assert "JAX_COMPILATION_CACHE_DIR" not in worker._environment
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    assert compiled.environment("flax.linen.LSTMCell", tmp_path) == {}


@pytest.mark.parametrize("cached", [True, False])
def test_the_process_of_an_implementation_gets_the_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    [worker] = implementations.load_all(["haiku.LSTM"], isolated=True, cache=tmp_path if cached else None)
    assert isinstance(worker, WorkerAdapter)
    assert ("JAX_COMPILATION_CACHE_DIR" in worker._environment) == cached


def test_jax_understands_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    variables = compiled.environment("haiku.LSTM", tmp_path)
    code = (
        "import json, jax; jax.jit(lambda x: x + 1)(2.0); config = jax.config; "
        "print(json.dumps([config.jax_compilation_cache_dir, config.jax_persistent_cache_min_compile_time_secs]))"
    )
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    folder, seconds = json.loads(done.stdout)
    assert (folder, seconds) == (variables["JAX_COMPILATION_CACHE_DIR"], 0.0)
    assert list(Path(folder).iterdir())

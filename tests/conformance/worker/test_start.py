"""Programs and other environments become workers, or the user learns why they do not."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.cases.case import Case
from conformance.errors import UserError
from conformance.verdict.problem import make_problem
from conformance.worker.start import start_in_environment, start_program
from tests.conftest import FAKES, ROOT

CASE = Case.model_validate({"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3})
STARTED = shlex.quote('{"ok":true,"version":1,"name":"a.program"}\\n')


@pytest.mark.parametrize("spec", ["torch.nn.LSTM", f"{FAKES}:Faithful"])
def test_another_environment_does_not_need_this_package(spec: str, tmp_path: Path) -> None:
    worker = start_in_environment(_other_python(tmp_path), spec)
    try:
        version = installed.version("torch").partition("+")[0].removesuffix(".0")
        assert worker.name == (f"{spec}@{version}" if spec == "torch.nn.LSTM" else "faithful")
        assert set(worker.solve(make_problem(CASE))) >= {"output", "grad.input"}
    finally:
        worker.close()


DEPENDENCIES_OF_PYDANTIC = {"annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"}
BLOCK_OTHER_PACKAGES = """\
import sys


class Block:
    @staticmethod
    def find_spec(name, path=None, target=None):
        first = name.partition(".")[0]
        ours = ("conformance", "reference", "tests")
        if first in sys.stdlib_module_names or first in {allowed} or first.startswith("_") or first in ours:
            return None
        raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Block)
"""


def test_another_environment_needs_only_the_documented_packages(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "worker-protocol.md").read_text()
    listed = "`numpy`,\n`packaging`, `pydantic` and `safetensors`"
    assert listed in page
    allowed = {"numpy", "packaging", "pydantic", "safetensors", *DEPENDENCIES_OF_PYDANTIC}
    (tmp_path / "sitecustomize.py").write_text(BLOCK_OTHER_PACKAGES.format(allowed=allowed))
    worker = start_in_environment(_other_python(tmp_path, tmp_path), f"{FAKES}:Zeros")
    try:
        assert set(worker.solve(make_problem(CASE))) >= {"output", "grad.input"}
    finally:
        worker.close()


def _other_python(folder: Path, search_path: Path | None = None) -> str:
    """Writes an interpreter that starts in another folder and does not have this package on its search path."""
    script = folder / "python"
    tests, python = shlex.quote(str(ROOT / "tests")), shlex.quote(sys.executable)
    variable = f"export PYTHONPATH={shlex.quote(str(search_path))}" if search_path else "unset PYTHONPATH"
    script.write_text(f'#!/bin/sh\n{variable}\ncd {tests} && exec {python} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda: start_program(""), "needs a program"),
        (lambda: start_program("./harness 'a"), "cmd:./harness 'a: No closing quotation"),
        (lambda: start_program("./missing"), "cmd:./missing cannot be used: cannot start ./missing: No such file"),
        (lambda: start_program("echo hello"), "violated the protocol: it sent b'hello"),
        (lambda: start_program("sh -c 'echo out of order >&2; exit 2'"), "(?s)exited with code 2.*out of order"),
        (lambda: start_program(f"printf {STARTED}more"), "it sent 4 bytes after the end of its answer: b'more"),
        (lambda: start_program("printf '{'"), "exited with code 0"),
        (lambda: start_in_environment(sys.executable, ""), "needs an implementation, such as"),
        (lambda: start_in_environment(sys.executable, f"{FAKES}:Absent"), "pip install a-framework"),
        (lambda: start_in_environment(sys.executable, "torch.nn.LSTN"), "did you mean 'torch.nn.LSTM'"),
    ],
)
def test_a_failed_start_is_a_user_error(load: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load()


def test_another_environment_gets_the_variables_of_the_adapter(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\necho "$KERAS_BACKEND" > {shlex.quote(str(tmp_path / "backend"))}\nexit 1\n')
    script.chmod(0o755)
    with pytest.raises(UserError):
        start_in_environment(str(script), "keras.layers.LSTM[jax]")
    assert (tmp_path / "backend").read_text() == "jax\n"

"""Keras is imported on the back end of an adapter, when first used, and quietly."""

import os
import subprocess
import sys

import pytest

from conformance.adapters.keras import common as _keras


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_raises_if_keras_uses_another_backend() -> None:
    run = _python(
        "from conformance.adapters.keras.lstm import KerasLSTM; KerasLSTM().describe()", KERAS_BACKEND="numpy"
    )
    assert "RuntimeError: Keras uses its numpy backend in this process" in run.stderr


def test_importing_adapters_imports_no_framework() -> None:
    run = _python(
        "import sys, conformance.adapters.keras.lstm, conformance.adapters.pytorch.lstm_cell\n"
        "import conformance.adapters.pytorch.lstm, conformance.adapters.check\n"
        "print(sorted({'torch', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_importing_keras_prints_nothing() -> None:
    run = _python("from conformance.adapters.keras.lstm import KerasLSTM; KerasLSTM().describe()")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_native_messages_are_printed_only_if_an_exception_is_raised(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"illegal instruction")
        raise ImportError

    with _keras.muted():
        os.write(2, b"advice about processors")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), _keras.muted():
        fail()
    assert capfd.readouterr().err == "illegal instruction"

import os

import pytest

from conformance import threads


def test_unset_variables_become_one_and_set_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in threads.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    threads.pin()
    assert threads.settings() == dict.fromkeys(threads.VARIABLES, "1") | {"OMP_NUM_THREADS": "4"}
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"


def test_a_number_that_a_case_requires_is_passed_to_libraries_and_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads.required() is None
    for variable, count in threads.variables(4).items():
        monkeypatch.setenv(variable, count)
    assert threads.settings() == dict.fromkeys(threads.VARIABLES, "4")
    assert threads.required() == 4

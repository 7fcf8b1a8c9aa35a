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

import os
import subprocess
import sys

import pytest

from conformance import threads


def test_unset_variables_become_one_and_set_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in threads.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    threads.pin()
    assert threads.settings() == dict.fromkeys(threads.VARIABLES, "1") | {"OMP_NUM_THREADS": "4"}
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no processor affinity")
def test_only_the_processors_of_the_process_count() -> None:
    code = (
        "import os; from conformance import threads; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(threads.available_cpus())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"

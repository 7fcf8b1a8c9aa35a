import os

import pytest

from conformance.worker.failures import WorkerCrash
from conformance.worker.process import Process


def test_what_it_says_before_the_first_request_is_kept_and_before_others_is_not() -> None:
    answers = "echo starting >&2; read line; echo one; echo idle >&2; read line; echo last >&2"
    process = Process(["sh", "-c", answers], dict(os.environ))
    _hear(process, "starting")
    assert process.ask(b"first\n", 60.0) == b"one\n"
    assert process.log().startswith("starting")
    _hear(process, "idle")
    with pytest.raises(WorkerCrash) as caught:
        process.ask(b"second\n", 60.0)
    assert caught.value.log == "last"


def _hear(process: Process, word: str) -> None:
    while word not in process.log():
        os.sched_yield()

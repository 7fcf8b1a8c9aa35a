"""Tests of ``conformance.worker.process`` that need no adapter."""

import os

import pytest

from conformance.worker.failures import WorkerCrash
from conformance.worker.process import Process


def test_the_log_begins_at_the_start_for_the_first_request_and_at_the_request_for_others() -> None:
    answers = "echo starting >&2; read line; echo one; echo idle >&2; read line; echo last >&2"
    process = Process(["sh", "-c", answers], dict(os.environ))
    _wait_for_log(process, "starting")
    assert process.ask(b"first\n", 60.0) == b"one\n"
    assert process.log().startswith("starting")
    _wait_for_log(process, "idle")
    with pytest.raises(WorkerCrash) as caught:
        process.ask(b"second\n", 60.0)
    assert caught.value.log == "last"


def _wait_for_log(process: Process, word: str) -> None:
    while word not in process.log():
        os.sched_yield()

"""Writes the results of a pytest session, in the process that sees them all: the controller under pytest-xdist."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.cases.casefile import load
from conformance.defects.power import bitmasks
from conformance.errors import UserError
from conformance.pytest.items import PROPERTY, CaseItem
from conformance.results.header import Header, ShardInfo
from conformance.results.record import Result, Status
from conformance.results.writer import ResultsFile
from conformance.run import controls, implementations
from conformance.run.runner import blank
from conformance.verdict.oracle import default_cache

_NODE_ID = re.compile(r"(?P<file>[^:]+\.yaml)::(?P<case>[^\[]+)\[(?P<implementation>.+)\]")


class Recorder:
    """Collects rows from reports. A worker that died leaves no row: it is made up here, from the item's node id."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._file: ResultsFile | None = None
        self._planned: dict[str, int] = {}
        self._results: list[Result] = []
        self._started: dict[str, float] = {}
        self._invalid = ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without pytest-xdist, the items are here."""
        if session.items or not self._config.pluginmanager.hasplugin("dsession"):
            self._begin(item.nodeid for item in session.items if isinstance(item, CaseItem))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """With it, only their node ids are, and each worker sends the same."""
        if self._file is None:
            self._begin(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Remembers when an item began, to tell a hang from a crash."""
        self._started[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Writes a row."""
        when: str = report.when or ""
        if when == "???":
            self._add_dead(report)
        elif when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    content = json.loads(str(value))
                    self._add(Result.from_row(content["row"]), content["description"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Writes the footer, if every planned row is there; a void session fails."""
        if self._file is None:
            return
        if self._invalid and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if Counter(result.implementation for result in self._results) == Counter(self._planned):
            self._file.finish(self._results)
        self._file.__exit__(None, None, None)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Says where the results are."""
        planned = sum(self._planned.values())
        rest = "" if len(self._results) == planned else f" (INCOMPLETE: {len(self._results)} of {planned})"
        terminalreporter.write_line(f"conformance results: {self._path}{rest}")
        if self._invalid:
            terminalreporter.write_line(self._invalid, red=True)

    def _begin(self, ids: Iterable[str]) -> None:
        found = [match["implementation"] for node in ids if (match := _NODE_ID.fullmatch(node))]
        self._planned = dict(Counter(found))
        names = self._config.getoption("--conformance-implementation")
        adapters = implementations.load_all(names)
        specs = {adapter.name: name for adapter, name in zip(adapters, names, strict=False) if adapter.name != name}
        shard = self._config.getoption("--conformance-shard")
        packages = {adapter.name: installed.versions(adapter) for adapter in adapters if adapter.name in self._planned}
        selection = " ".join(_without_own(map(str, self._config.invocation_params.args)))
        statuses = controls.run(default_cache())
        self._invalid = controls.verdict(statuses)
        header = Header(
            planned=self._planned,
            packages=packages,
            selection=selection,
            defects=bitmasks.IDS,
            controls=statuses,
            specs=specs,
            shard=ShardInfo(**shard.header()) if shard else None,
        )
        try:
            self._file = ResultsFile(self._path, header.stamped())
        except UserError as error:
            raise pytest.UsageError(str(error)) from error

    def _add(self, result: Result, description: dict[str, str] | None = None) -> None:
        if self._file is None:
            return
        if description:
            self._file.describe(result.implementation, description)
        self._file.add(result)
        self._results.append(result)

    def _add_dead(self, report: pytest.TestReport) -> None:
        found = _NODE_ID.fullmatch(report.nodeid)
        if found is None:
            return
        limit = float(self._config.getini("faulthandler_timeout") or 0)
        ran = time.monotonic() - self._started.get(report.nodeid, time.monotonic())
        hung = 0 < limit <= ran
        status: Status = "timeout" if hung else "crash"
        reason = f"it ran longer than {limit:g} s" if hung else "the process died"
        root = self._config.rootpath
        for case in load(root / found["file"], root):
            if case.name == found["case"]:
                self._add(blank(case, found["implementation"], status, reason))


def _without_own(words: Iterable[str]) -> list[str]:
    """The command line without what differs between the shards of one run."""
    kept: list[str] = []
    value = False
    for word in words:
        option, equals, _ = word.partition("=")
        own = option in ("--conformance-report", "--conformance-shard")
        if not own and not value:
            kept.append(word)
        value = own and not equals
    return kept

"""Writes the results of a pytest session. Under pytest-xdist, the controller writes them."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.adapters import installed
from conformance.cache import default_cache
from conformance.cases.casefile import load
from conformance.defects.power import bitmasks
from conformance.errors import UserError
from conformance.pytest.items import PROPERTY, CaseItem
from conformance.results.header import Header, ShardInfo
from conformance.results.record import Result, Status
from conformance.results.summary import controls_warning
from conformance.results.writer import ResultsFile
from conformance.run import controls, implementations
from conformance.run.runner import blank

_CLOCK_SKEW_SECONDS = 1.0
"""Maximum delay between the start of an item on a worker and the moment when the controller learns of it."""

_NODE_ID = re.compile(r"(?P<file>[^:]+\.yaml)::(?P<case>[^\[]+)\[(?P<implementation>.+)\]")


class Recorder:
    """Plug-in that writes a results file.

    Rows arrive in the reports of items. A worker that dies sends no row. It is made from the item's node id.
    """

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._file: ResultsFile | None = None
        self._planned: dict[str, int] = {}
        self._results: list[Result] = []
        self._started: dict[str, float] = {}
        self._invalid = ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begins the file if this process runs the items."""
        if session.items or not self._config.pluginmanager.hasplugin("dsession"):
            self._begin(item.nodeid for item in session.items if isinstance(item, CaseItem))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Begins the file under pytest-xdist. Every worker sends the same node ids, so the first ones suffice."""
        if self._file is None:
            self._begin(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Stores the start time of an item, which distinguishes a hang from a crash."""
        self._started[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Writes the row of an item."""
        when: str = report.when or ""
        if when == "???":
            self._add_crash(report)
        elif when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    content = json.loads(str(value))
                    self._add(Result.from_row(content["row"]), content["description"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Writes the footer if no row is missing. An invalid session fails."""
        if self._file is None:
            return
        if self._invalid and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if Counter(result.implementation for result in self._results) == Counter(self._planned):
            self._file.finish(self._results)
        self._file.__exit__(None, None, None)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Prints the path of the results file and, if the session is invalid, why."""
        planned = sum(self._planned.values())
        incomplete = "" if len(self._results) == planned else f" (INCOMPLETE: {len(self._results)} of {planned})"
        terminalreporter.write_line(f"conformance results: {self._path}{incomplete}")
        if self._invalid:
            terminalreporter.write_line(self._invalid, red=True)

    def _begin(self, ids: Iterable[str]) -> None:
        matches = map(_NODE_ID.fullmatch, ids)
        self._planned = dict(Counter(match["implementation"] for match in matches if match))
        names = self._config.getoption("--conformance-implementation")
        adapters = implementations.load_all(names)
        specs = {adapter.name: name for adapter, name in zip(adapters, names, strict=False) if adapter.name != name}
        shard = self._config.getoption("--conformance-shard")
        packages = {adapter.name: installed.versions(adapter) for adapter in adapters if adapter.name in self._planned}
        selection = " ".join(_common_arguments(map(str, self._config.invocation_params.args)))
        statuses = controls.run(default_cache())
        self._invalid = controls_warning(statuses)
        header = Header(
            planned=self._planned,
            packages=packages,
            selection=selection,
            defects=bitmasks.IDS,
            controls=statuses,
            specs=specs,
            shard=ShardInfo(index=shard.index, of=shard.of) if shard else None,
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
        if self._file.add(result):
            self._results.append(result)

    def _add_crash(self, report: pytest.TestReport) -> None:
        """Writes the row of an item during which the worker died: a timeout if faulthandler ended it, else a crash."""
        found = _NODE_ID.fullmatch(report.nodeid)
        if found is None:
            return
        limit = float(self._config.getini("faulthandler_timeout") or 0)
        ran = time.monotonic() - self._started.get(report.nodeid, time.monotonic())
        hung = 0 < limit <= ran + _CLOCK_SKEW_SECONDS
        status: Status = "timeout" if hung else "crash"
        reason = f"it ran longer than {limit:g} s" if hung else "the process died"
        root = self._config.rootpath
        for case in load(root / found["file"], root):
            if case.name == found["case"]:
                self._add(blank(case, found["implementation"], status, reason))


def _common_arguments(words: Iterable[str]) -> list[str]:
    """Returns the arguments that the shards of a run have in common."""
    common: list[str] = []
    is_value = False
    for word in words:
        option, equals, _ = word.partition("=")
        is_own = option in ("--conformance-report", "--conformance-shard")
        if not is_own and not is_value:
            common.append(word)
        is_value = is_own and not equals
    return common

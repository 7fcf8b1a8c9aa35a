"""Collection of case files: one pytest item for each case × implementation."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.errors import UserError

if TYPE_CHECKING:
    from conformance.adapters import Adapter
    from conformance.cases.case import Case
    from conformance.results.record import Result
    from conformance.run.runner import Runner

PROPERTY = "conformance"
"""User property that carries a result, as JSON, from a worker to the controller."""

ADAPTERS = pytest.StashKey[dict[str, "Adapter"]]()
"""Stash key of the session's implementations, by name."""

_RUNNER = pytest.StashKey["Runner"]()
_MARKS = pytest.StashKey[set[str]]()
# Used as marks, these would change how pytest runs an item.
_RESERVED = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"})
_MARK = re.compile(r"[A-Za-z][\w.+-]*")


class CaseFile(pytest.File):
    """A case file."""

    def collect(self) -> Iterator["CaseItem"]:
        """Yields an item for each case and each implementation that runs it."""
        from conformance.cases.casefile import load, shipped_cases

        adapters = load_adapters(self.config)
        named = list(adapters) if self.config.getoption("--conformance-implementation") else []
        shipped = self.path.is_relative_to(shipped_cases())
        for case in load(self.path, shipped_cases().parent if shipped else self.config.rootpath):
            for adapter in adapters.values():
                if adapter.runs_by_default(case, named):
                    name = f"{case.name}[{adapter.name}]"
                    # With an explicit node id, pytest parses the bracket as when it reads its cache for --lf.
                    yield CaseItem.from_parent(
                        self, name=name, nodeid=f"{self.nodeid}::{name}", case=case, adapter=adapter
                    )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Returns the mistakes in the file, without a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, UserError) else super().repr_failure(excinfo)


class DeviationError(Exception):
    """A result that makes the run fail."""

    def __init__(self, result: "Result") -> None:
        super().__init__(result.reason)
        self.result = result


class CaseItem(pytest.Item):
    """One case on one implementation."""

    def __init__(self, *, case: "Case", adapter: "Adapter", **rest: Any) -> None:
        super().__init__(**rest)
        self.case = case
        self.adapter = adapter
        self._mark((*case.tags, adapter.name.split(".")[0]))

    def runtest(self) -> None:
        """Runs the case once and reports all its tensors as one pass, skip, expected failure or failure."""
        from conformance.run.rejection import describe

        runner = _runner(self.session)
        self._end_other_processes()
        if runner.needs_process(self.case, self.adapter):
            result = _check_alone(runner, self.case, self.adapter)
        else:
            result = runner.check(self.case, self.adapter)
        self._note(result, runner.descriptions.get(self.adapter.name))
        if result.rejected:
            raise UserError(describe(self.case, result.reason))
        match result.status:
            case "unsupported" | "not-run":
                pytest.skip(result.reason)
            case "known":
                pytest.xfail(result.reason)
            case "pass":
                return
        raise DeviationError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns a description of every deviating tensor."""
        match excinfo.value:
            case DeviationError(result=result):
                from conformance.reports.explain import explain, headline

                # pytest's summary shows only the first line.
                return f"{headline(result)}\n\n{explain(result, self._spec())}"
            case UserError() as error:
                return str(error)
            case pytest.xfail.Exception() as expected:
                return str(expected)  # pytest's own representation, with a traceback, takes 0.1 s.
        return super().repr_failure(excinfo, style)

    def _spec(self) -> str:
        """Returns the name of the implementation on the command line; empty if it was not given there."""
        names: list[str] = self.config.getoption("--conformance-implementation")
        return dict(zip(load_adapters(self.config), names, strict=False)).get(self.adapter.name, "")

    def reportinfo(self) -> tuple[Path, int, str]:
        """Returns the position of the case in its file."""
        return self.path, max(0, self.case.line - 1), self.name

    def _end_other_processes(self) -> None:
        """Ends the processes of other implementations: dozens of frameworks at once would not fit into memory."""
        from conformance.worker.client import WorkerAdapter

        for adapter in load_adapters(self.config).values():
            if isinstance(adapter, WorkerAdapter) and adapter is not self.adapter:
                adapter.close()

    def _note(self, result: "Result", description: dict[str, str] | None = None) -> None:
        """Sends the result to the recorder, which exists only if a results file is written."""
        if not self.config.getoption("--conformance-report"):
            return
        content = {"row": result.to_row(), "description": description}
        self.user_properties.append((PROPERTY, json.dumps(content, allow_nan=False)))

    def _mark(self, words: Iterable[str]) -> None:
        """Adds keywords for ``-k`` and registered markers for ``-m``: tags and the implementation's family."""
        registered = self.config.stash.setdefault(_MARKS, set())
        for word in words:
            self.extra_keyword_matches.add(word)
            if word in _RESERVED or not _MARK.fullmatch(word):
                continue
            if word not in registered:
                registered.add(word)
                self.config.addinivalue_line("markers", f"{word}: conformance cases with this tag or implementation")
            self.add_marker(word)


def load_adapters(config: pytest.Config) -> dict[str, "Adapter"]:
    """Loads the implementations to run, by name: those given on the command line, or all that are installed.

    Raises:
        UserError: an implementation on the command line is not installed, or no implementation is.
    """
    if ADAPTERS not in config.stash:
        from conformance.run import implementations

        names = config.getoption("--conformance-implementation")
        adapters, absent = implementations.split(implementations.load_all(names, config.getoption("--isolate")))
        if absent and (names or not adapters):
            raise UserError("\n".join(absent.values()))
        config.stash[ADAPTERS] = {adapter.name: adapter for adapter in adapters}
    return config.stash[ADAPTERS]


def _check_alone(runner: "Runner", case: "Case", adapter: "Adapter") -> "Result":
    """Runs a case in a new process with the case's number of threads. If that process dies, this one continues."""
    from conformance.adapters import registry
    from conformance.run import implementations
    from conformance.worker.client import WorkerAdapter

    if adapter.name in registry.BUILT_IN:
        adapter = implementations.load_all([adapter.name], isolated=True)[0]
    try:
        return runner.check(case, adapter)
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()


def _runner(session: pytest.Session) -> "Runner":
    config = session.config
    if _RUNNER not in config.stash:
        from conformance.defects.power.bitmasks import Detector
        from conformance.known import divergences as known
        from conformance.run.runner import Runner
        from conformance.verdict.oracle import Oracle

        oracle = Oracle()
        planned: dict[str, list[Case]] = {}
        for item in session.items:
            if isinstance(item, CaseItem):
                planned.setdefault(item.adapter.name, []).append(item.case)
        # Only the results file reports which defects a case detects.
        power = config.getoption("--conformance-power")
        measures = power != "off" and config.getoption("--conformance-report")
        detector = Detector(oracle.cache, power, planned.__getitem__) if measures else None
        config.stash[_RUNNER] = Runner(oracle, known.shipped(), detector=detector)
    return config.stash[_RUNNER]

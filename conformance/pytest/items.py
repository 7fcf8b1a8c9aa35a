"""What pytest collects from a case file, and runs: an item for each case × implementation."""

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
"""The user property by which a result travels from a worker to the controller, as JSON."""

ADAPTERS = pytest.StashKey[dict[str, "Adapter"]]()
"""The implementations of a session, once they are loaded."""

_RUNNER = pytest.StashKey["Runner"]()
_MARKS = pytest.StashKey[set[str]]()
# As marks these would change what pytest does with an item.
_RESERVED = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"})
_MARK = re.compile(r"[A-Za-z][\w.+-]*")


class CaseFile(pytest.File):
    """A case file."""

    def collect(self) -> Iterator["CaseItem"]:
        """Each case on each implementation that runs it."""
        from conformance.cases.casefile import load

        adapters = load_adapters(self.config)
        named = list(adapters) if self.config.getoption("--conformance-implementation") else []
        for case in load(self.path, self.config.rootpath):
            for adapter in adapters.values():
                if adapter.runs_by_default(case, named):
                    name = f"{case.name}[{adapter.name}]"
                    # Spelled out, so that pytest reads the bracket as it will when it reads its cache for --lf.
                    yield CaseItem.from_parent(
                        self, name=name, nodeid=f"{self.nodeid}::{name}", case=case, adapter=adapter
                    )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """What is wrong with the file, without a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, UserError) else super().repr_failure(excinfo)


class DeviationError(Exception):
    """A result with which a run does not conform."""

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
        """Compares everything, notes the result, then passes, skips, is expected to fail, or fails once."""
        from conformance.run.runner import RefusedCaseError, blank

        runner = _runner(self.config)
        self._end_other_processes()
        try:
            result = runner.check(self.case, self.adapter)
        except RefusedCaseError as error:
            self._note(blank(self.case, self.adapter.name, "not-run", str(error)))
            raise
        self._note(result, runner.descriptions.get(self.adapter.name))
        match result.status:
            case "unsupported" | "not-run":
                pytest.skip(result.reason)
            case "known":
                pytest.xfail(result.reason)
            case "pass":
                return
        raise DeviationError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Every tensor that deviates, in words."""
        match excinfo.value:
            case DeviationError(result=result):
                from conformance.reports.explain import explain, headline

                # pytest's summary shows the first line alone.
                return f"{headline(result)}\n\n{explain(result, self._spec())}"
            case UserError() as error:
                return str(error)
            case pytest.xfail.Exception() as expected:
                return str(expected)  # pytest's own way, with a traceback, takes a tenth of a second.
        return super().repr_failure(excinfo, style)

    def _spec(self) -> str:
        """How the implementation is named on the command line, where it was."""
        names: list[str] = self.config.getoption("--conformance-implementation")
        return dict(zip(load_adapters(self.config), names, strict=False)).get(self.adapter.name, "")

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case is written."""
        return self.path, max(0, self.case.line - 1), self.name

    def _end_other_processes(self) -> None:
        """Ends the processes of implementations run before: dozens of frameworks at once would fill the memory."""
        from conformance.worker.client import WorkerAdapter

        for adapter in load_adapters(self.config).values():
            if isinstance(adapter, WorkerAdapter) and adapter is not self.adapter:
                adapter.close()

    def _note(self, result: "Result", description: dict[str, str] | None = None) -> None:
        content = {"row": result.to_row(), "description": description}
        self.user_properties.append((PROPERTY, json.dumps(content, allow_nan=False)))

    def _mark(self, words: Iterable[str]) -> None:
        """Tags and the implementation's family, for ``-m`` and ``-k``; known to ``--strict-markers``."""
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
    """The implementations to run, by name. Those asked for must be there; else, those that are installed.

    Raises:
        UserError: one asked for is not installed, or none is.
    """
    if ADAPTERS not in config.stash:
        from conformance.run import implementations

        names = config.getoption("--conformance-implementation")
        adapters, absent = implementations.split(implementations.load_all(names, config.getoption("--isolate")))
        if absent and (names or not adapters):
            raise UserError("\n".join(absent.values()))
        config.stash[ADAPTERS] = {adapter.name: adapter for adapter in adapters}
    return config.stash[ADAPTERS]


def _runner(config: pytest.Config) -> "Runner":
    if _RUNNER not in config.stash:
        from conformance.defects.power.bitmasks import Detector
        from conformance.known import divergences as known
        from conformance.run.runner import Runner
        from conformance.verdict.oracle import Oracle

        oracle = Oracle()
        # What a case sees is told in the results file alone.
        detector = Detector(oracle.cache) if config.getoption("--conformance-report") else None
        config.stash[_RUNNER] = Runner(oracle, known.shipped(), detector=detector)
    return config.stash[_RUNNER]

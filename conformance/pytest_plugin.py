"""Collects case files as tests, an item for each case × implementation: ``cases/lengths.yaml::ragged[torch.nn.LSTM]``.

Nothing but the standard library is imported until a case file is found, and no framework until its first case runs.
What is a case file: every ``*.yaml`` in the folders of the ini option ``conformance_cases``. Without that option, in
the folder ``cases``, and among the files given on the command line, those that look like one.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance import threads
from conformance.errors import UserError

if TYPE_CHECKING:
    from conformance.adapters import Adapter
    from conformance.case import Case
    from conformance.results import Result
    from conformance.runner import Runner

PROPERTY = "conformance"
"""The user property by which a result travels from a worker to the controller, as JSON."""

_SECTION = re.compile(rb"^(?:defaults|matrix|exclude|also|cases)\s*:", re.MULTILINE)
_SNIFFED = 65536
_GIBIBYTE = 2**30
_MEMORY_OF_A_WORKER = 1.5 * _GIBIBYTE
# As marks these would change what pytest does with an item.
_RESERVED = frozenset({"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"})
_MARK = re.compile(r"[A-Za-z][\w.+-]*")

_adapters_key = pytest.StashKey[dict[str, "Adapter"]]()
_runner_key = pytest.StashKey["Runner"]()
_marks_key = pytest.StashKey[set[str]]()
_concerned_key = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plug-in's options."""
    group = parser.getgroup("conformance", "LSTM conformance")
    group.addoption(
        "--conformance-implementation",
        action="append",
        default=[],
        metavar="NAME",
        help="run the cases on this implementation: a registered name, path/file.py:Class, package.module:Class, "
        "cmd:./program or python:/path/to/python:NAME; may be repeated (default: all registered)",
    )
    group.addoption("--isolate", action="store_true", help="run each implementation in a process of its own")
    group.addoption("--conformance-report", type=Path, metavar="PATH", help="write the results to this results.jsonl")
    parser.addini("conformance_cases", "folders in which every *.yaml is a case file (default: cases)", "paths", [])


def pytest_configure(config: pytest.Config) -> None:
    """Pins threads before NumPy and the workers start; writes results in the one process that sees them all."""
    config.stash[_concerned_key] = _concerns(config)
    if not config.stash[_concerned_key]:
        return
    threads.pin()
    path = config.getoption("--conformance-report")
    if path and not hasattr(config, "workerinput") and not config.getoption("collectonly"):
        from conformance.pytest_report import Recorder

        config.pluginmanager.register(Recorder(config, path), "conformance-recorder")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Says what is wrong with the implementations asked for, before anything starts."""
    if session.config.getoption("--conformance-implementation"):
        try:
            _adapters(session.config)
        except UserError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the processes of implementations."""
    adapters = config.stash.get(_adapters_key, {})
    if adapters:
        from conformance.worker.client import WorkerAdapter

        for adapter in adapters.values():
            if isinstance(adapter, WorkerAdapter):
                adapter.close()


def pytest_report_header(config: pytest.Config) -> str | None:
    """The threads, on which results may depend."""
    if not config.stash[_concerned_key]:
        return None
    return "conformance threads: " + ", ".join(f"{name}={value}" for name, value in threads.settings().items())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """As many workers as there are processors for them, and memory for their frameworks."""
    if not config.stash[_concerned_key] or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    if not hasattr(os, "sched_getaffinity"):
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), int(memory / _MEMORY_OF_A_WORKER)))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    """A case file, if it is one."""
    if _is_case_file(file_path, parent.config):
        return CaseFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts cases of one implementation, and alike layers, next to each other; other tests stay where they are."""
    cases = {place: item for place, item in enumerate(items) if isinstance(item, CaseItem)}
    if not cases:
        return
    from conformance.pytest_order import in_order

    for place, item in zip(cases, in_order(list(cases.values())), strict=True):
        items[place] = item


class CaseFile(pytest.File):
    """A case file."""

    def collect(self) -> Iterator["CaseItem"]:
        """Each case on each implementation that runs it."""
        from conformance.casefile import load
        from conformance.select import runs_by_default

        adapters = _adapters(self.config)
        named = list(adapters) if self.config.getoption("--conformance-implementation") else []
        for case in load(self.path, self.config.rootpath):
            for adapter in adapters.values():
                if runs_by_default(adapter, case, named):
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
        from conformance.runner import RefusedCaseError, blank

        runner = _runner(self.config)
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
                from conformance.reports.terminal import explain

                return explain(result)
            case UserError() as error:
                return str(error)
            case pytest.xfail.Exception() as expected:
                return str(expected)  # pytest's own way, with a traceback, takes a tenth of a second.
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case is written."""
        return self.path, max(0, self.case.line - 1), self.name

    def _note(self, result: "Result", description: dict[str, str] | None = None) -> None:
        content = {"row": result.to_row(), "description": description}
        self.user_properties.append((PROPERTY, json.dumps(content, allow_nan=False)))

    def _mark(self, words: Iterable[str]) -> None:
        """Tags and the implementation's family, for ``-m`` and ``-k``; known to ``--strict-markers``."""
        registered = self.config.stash.setdefault(_marks_key, set())
        for word in words:
            self.extra_keyword_matches.add(word)
            if word in _RESERVED or not _MARK.fullmatch(word):
                continue
            if word not in registered:
                registered.add(word)
                self.config.addinivalue_line("markers", f"{word}: conformance cases with this tag or implementation")
            self.add_marker(word)


def _adapters(config: pytest.Config) -> dict[str, "Adapter"]:
    """The implementations to run, by name. Those asked for must be there; of the others, missing ones are skipped."""
    if _adapters_key not in config.stash:
        from conformance import registry

        names = config.getoption("--conformance-implementation")
        adapters = registry.load_all(names, config.getoption("--isolate"))
        absent = [reason for adapter in adapters if names and (reason := registry.missing(adapter))]
        if absent:
            raise UserError("\n".join(absent))
        config.stash[_adapters_key] = {adapter.name: adapter for adapter in adapters}
    return config.stash[_adapters_key]


def _runner(config: pytest.Config) -> "Runner":
    if _runner_key not in config.stash:
        from conformance import known
        from conformance.defects.seen import Eyes
        from conformance.oracle import Oracle
        from conformance.runner import Runner

        oracle = Oracle()
        # What a case sees is told in the results file alone.
        eyes = Eyes(oracle.cache) if config.getoption("--conformance-report") else None
        config.stash[_runner_key] = Runner(oracle, known.shipped(), eyes=eyes)
    return config.stash[_runner_key]


def _concerns(config: pytest.Config) -> bool:
    """Whether this session has anything to do with cases; the plug-in is also installed where others test."""
    options = ("--conformance-report", "--conformance-implementation")
    if any(config.getoption(option) for option in options) or config.getini("conformance_cases"):
        return True
    folder = config.rootpath / "cases"
    files = folder.rglob("*.yaml") if folder.is_dir() else ()
    return any(_is_case_file(path, config) for path in (*_given(config), *files))


def _is_case_file(path: Path, config: pytest.Config) -> bool:
    if path.suffix != ".yaml":
        return False
    folders: list[Path] = config.getini("conformance_cases")
    if any(path.is_relative_to(folder) for folder in folders):
        return True
    by_default = not folders and path.is_relative_to(config.rootpath / "cases")
    return (by_default or path in _given(config)) and _looks_like_one(path)


def _given(config: pytest.Config) -> list[Path]:
    """The paths on the command line."""
    return [config.invocation_params.dir / str(argument).split("::")[0] for argument in config.args]


def _looks_like_one(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _SECTION.search(file.read(_SNIFFED)) is not None
    except OSError:
        return False

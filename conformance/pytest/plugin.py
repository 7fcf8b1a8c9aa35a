"""Collects case files as tests, an item for each case × implementation: ``cases/lengths.yaml::ragged[torch.nn.LSTM]``.

Nothing but the standard library is imported until a case file is found, and no framework until its first case runs.
What is a case file: every ``*.yaml`` in the folders of the ini option ``conformance_cases``. Without that option, in
the folder ``cases``, and among the files given on the command line, those that look like one.
"""

import argparse
import os
import re
from pathlib import Path

import pytest

from conformance import threads
from conformance.cases.shard import Shard
from conformance.errors import UserError
from conformance.pytest.items import ADAPTERS, CaseFile, CaseItem, load_adapters

_SECTION = re.compile(rb"^(?:defaults|matrix|exclude|also|cases)\s*:", re.MULTILINE)
_SNIFFED = 65536
_GIBIBYTE = 2**30
_MEMORY_OF_A_WORKER = 1.5 * _GIBIBYTE

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
    group.addoption(
        "--conformance-shard",
        type=_shard,
        metavar="I/N",
        help="run the I-th of N parts of the cases; conformance merge puts the results of all parts together",
    )
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
        from conformance.pytest.report import Recorder

        config.pluginmanager.register(Recorder(config, path), "conformance-recorder")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Says what is wrong with the implementations asked for, before anything starts."""
    if session.config.getoption("--conformance-implementation"):
        try:
            load_adapters(session.config)
        except UserError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the processes of implementations."""
    adapters = config.stash.get(ADAPTERS, {})
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
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps a shard's cases; puts those of one implementation, and alike layers, next to each other.

    Other tests stay where they are, in every shard.
    """
    if config.getoption("--conformance-shard"):
        from conformance.pytest.order import keep_shard

        keep_shard(config, items)
    cases = {place: item for place, item in enumerate(items) if isinstance(item, CaseItem)}
    if not cases:
        return
    from conformance.pytest.order import in_order

    for place, item in zip(cases, in_order(list(cases.values())), strict=True):
        items[place] = item


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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

"""Plug-in that collects case files.

Each case × implementation is an item, such as ``cases/core.yaml::one-layer[torch.nn.LSTM]``.
Only the standard library is imported until a case file is found, and a framework only when its first case runs.

Every ``*.yaml`` file in the folders of the ini option ``conformance_cases`` is a case file. Without this option, a
``*.yaml`` file is a case file if it is in the folder ``cases`` or given on the command line, and has a section of case
files such as ``cases:`` in its first 64 KiB.
"""

import argparse
import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

from conformance import garbage, telemetry, threads
from conformance.cache import default_cache
from conformance.cases import ON_DEMAND
from conformance.cases.shard import Shard
from conformance.errors import UserError
from conformance.pytest.items import ADAPTERS, CaseFile, CaseItem, load_adapters
from conformance.run import compiled

_SECTION = re.compile(rb"^(?:defaults|matrix|exclude|also|cases)\s*:", re.MULTILINE)
_SEARCHED_BYTES = 2**16
"""Size of the start of a file in which sections are searched."""

_active_key = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the plug-in's options."""
    group = parser.getgroup("conformance", "LSTM conformance")
    group.addoption(
        "--conformance-implementation",
        action="append",
        default=[],
        metavar="NAME",
        help="run the cases on this implementation: a registered name, path/file.py:Class, package.module:Class, "
        "cmd:./program or python:/path/to/python:NAME; may be repeated (default: all registered)",
    )
    group.addoption(
        "--conformance-shipped",
        action="append",
        default=[],
        metavar="FILE",
        help="also run the cases of this shipped case file, such as core; may be repeated",
    )
    group.addoption("--isolate", action="store_true", help="run each implementation in its own process")
    group.addoption(
        "--conformance-shard",
        type=_shard,
        metavar="I/N",
        help="run the I-th of N parts of the cases; `conformance merge` combines their results",
    )
    group.addoption(
        "--conformance-report", type=Path, metavar="PATH", help="write the results to this file, as JSON lines"
    )
    group.addoption(
        "--conformance-power",
        choices=["auto", "full", "off"],
        default="auto",
        help="with --conformance-report: which defects the passed cases detect, measured on a sample of the cases at "
        "reduced sizes, on every case at its own sizes, or not at all (default: %(default)s)",
    )
    group.addoption(
        "--conformance-campaign",
        type=_time,
        metavar="TIME",
        help="also run random cases on each implementation for this time, such as 60s, 10m or 2h; minimal cases of "
        "deviations are written to the folder conformance-campaign",
    )
    group.addoption(
        "--conformance-campaign-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the random cases (default: %(default)s)",
    )
    parser.addini("conformance_cases", "folders in which every *.yaml is a case file (default: cases)", "paths", [])


def pytest_configure(config: pytest.Config) -> None:
    """Limits threads before NumPy is imported and workers start, and registers the recorder in the controller."""
    config.stash[_active_key] = _is_active(config)
    if not config.stash[_active_key]:
        return
    threads.pin()
    telemetry.disable()
    if config.getoption("--conformance-shipped"):
        from conformance.pytest.shipped import Shipped

        config.pluginmanager.register(Shipped(config.getoption("--conformance-shipped")), "conformance-shipped")
    path = config.getoption("--conformance-report")
    if path and not hasattr(config, "workerinput") and not config.getoption("collectonly"):
        from conformance.pytest.report import Recorder

        config.pluginmanager.register(Recorder(config, path), "conformance-recorder")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Prepares a process before it collects tests and before any worker starts.

    Makes JAX keep its compiled programs, except in the controller of pytest-xdist, which runs no tests. Reports
    implementations on the command line that cannot be loaded.
    """
    if session.config.stash[_active_key] and not session.config.pluginmanager.hasplugin("dsession"):
        process = f"pytest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
        os.environ.update(compiled.environment(process, default_cache()))
    if session.config.getoption("--conformance-implementation"):
        try:
            load_adapters(session.config)
        except UserError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the processes of implementations."""
    adapters = config.stash.get(ADAPTERS, {})
    if adapters:
        from conformance.worker.client import WorkerAdapter

        for adapter in adapters.values():
            if isinstance(adapter, WorkerAdapter):
                adapter.close()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Returns a line with the thread settings, on which results may depend."""
    if not config.stash[_active_key]:
        return None
    return "conformance threads: " + ", ".join(f"{name}={value}" for name, value in threads.settings().items())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Returns the number of workers for ``-n auto``: see ``threads.default_jobs``."""
    if not config.stash[_active_key] or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return threads.default_jobs()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Makes Python search less often for garbage, and never among the collected items, which live until the end."""
    if not session.config.stash[_active_key]:
        return (yield)
    garbage.search_less_often()
    with garbage.nothing_to_search():
        return (yield)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skips a folder of expensive cases unless the command line names it or a file in it."""
    folders = config.getini("conformance_cases") or [config.rootpath / "cases"]
    if collection_path.name != ON_DEMAND or not any(collection_path.is_relative_to(folder) for folder in folders):
        return None
    return None if any(path.is_relative_to(collection_path) for path in _typed_paths(config)) else True


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    """Collects a file if it is a case file."""
    if _is_case_file(file_path, parent.config):
        return CaseFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds campaigns, deselects the cases of other shards, and sorts the cases by implementation and shape.

    Other tests keep their places and run in every shard.
    """
    if config.getoption("--conformance-campaign"):
        from conformance.pytest.campaign import items as campaign_items

        items += campaign_items(session)
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


def _time(text: str) -> float:
    from conformance.pytest.campaign import parse_seconds

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _is_active(config: pytest.Config) -> bool:
    """Returns whether the session has an option or a case file of this plug-in.

    The plug-in is also loaded in the tests of other projects in the same environment, and must not affect them.
    """
    names = ("report", "implementation", "campaign", "shipped")
    options = [f"--conformance-{name}" for name in names]
    if any(config.getoption(option) for option in options) or config.getini("conformance_cases"):
        return True
    folder = config.rootpath / "cases"
    files = folder.rglob("*.yaml") if folder.is_dir() else ()
    return any(_is_case_file(path, config) for path in (*_typed_paths(config), *files))


def _is_case_file(path: Path, config: pytest.Config) -> bool:
    if path.suffix != ".yaml":
        return False
    folders: list[Path] = config.getini("conformance_cases")
    if any(path.is_relative_to(folder) for folder in folders):
        return True
    by_default = not folders and path.is_relative_to(config.rootpath / "cases")
    return (by_default or path in _typed_paths(config)) and _has_section(path)


def _typed_paths(config: pytest.Config) -> list[Path]:
    """Returns the paths on the command line."""
    return [config.invocation_params.dir / str(argument).split("::")[0] for argument in config.args]


def _has_section(path: Path) -> bool:
    """Returns whether a file has a section of case files."""
    try:
        with path.open("rb") as file:
            return _SECTION.search(file.read(_SEARCHED_BYTES)) is not None
    except OSError:
        return False

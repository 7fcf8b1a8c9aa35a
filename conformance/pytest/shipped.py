"""Shipped case files that an option adds to the tests of another project."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance.cases.casefile import shipped_cases
from conformance.pytest.items import CaseFile


class Shipped:
    """A plug-in that adds the cases of shipped case files to a session.

    The files are not in the project's folders, so that pytest does not find them itself.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._paths = [_path(name) for name in dict.fromkeys(names)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Adds the cases, before options such as ``-k`` select items."""
        for path in self._paths:
            items += CaseFile.from_parent(session, path=path, nodeid=f"cases/{path.name}").collect()


def _path(name: str) -> Path:
    path = shipped_cases() / f"{name.removesuffix('.yaml')}.yaml"
    if path.is_file():
        return path
    names = ", ".join(sorted(other.stem for other in shipped_cases().glob("*.yaml")))
    raise pytest.UsageError(f"--conformance-shipped: there is no shipped case file {name}. Choose from: {names}")

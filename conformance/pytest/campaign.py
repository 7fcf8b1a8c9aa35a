"""Campaigns as tests: one item for each implementation, which fails if a random case deviates."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.errors import UserError

if TYPE_CHECKING:
    from conformance.campaign.groups import Group
    from conformance.worker.client import WorkerAdapter

FOLDER = "conformance-campaign"
"""Folder of the minimal cases, in the root folder of the session."""
_UNITS = {"s": 1, "m": 60, "h": 3600}


class CampaignError(Exception):
    """A campaign found deviations.

    Attributes:
        groups: groups of the deviations.
    """

    def __init__(self, groups: "Sequence[Group]") -> None:
        super().__init__(f"{len(groups)} kinds of deviations")
        self.groups = groups


class CampaignItem(pytest.Item):
    """Random cases on one implementation."""

    def __init__(self, *, adapter: "WorkerAdapter", spec: str, seconds: float, seed: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.adapter = adapter
        self.spec = spec
        self.seconds = seconds
        self.seed = seed

    def runtest(self) -> None:
        """Runs random cases until the time is over."""
        from conformance.campaign.campaign import Campaign, Settings
        from conformance.campaign.draw import Drawer
        from conformance.campaign.groups import Groups
        from conformance.known import divergences as known
        from conformance.run.runner import Runner
        from conformance.verdict.oracle import Oracle

        name = self.adapter.name
        groups = Groups(self._folder, specs={name: self.spec})
        campaign = Campaign(
            Runner(Oracle(None), known.shipped()),
            Settings(self.seed, seconds=self.seconds),
            {name: Drawer(self.seed, self.adapter.declared_features())},
        )
        cases = 0
        try:
            for outcome in campaign.run([(self.adapter, ())]):
                cases += 1
                if outcome.signature:
                    groups.count(name, outcome.signature, outcome.minimal)
        finally:
            self.adapter.close()
        self.user_properties.append(("conformance-campaign", cases))
        if not cases:
            pytest.skip(f"{name} supported no random case in {self.seconds:g} s")
        if groups.groups:
            raise CampaignError(groups.groups)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns the kinds of deviations with their case files."""
        if isinstance(excinfo.value, CampaignError):
            return "\n".join(
                f"{group.count} × {group.what}\n  conformance run {self._folder / group.file} -i {self.spec}"
                for group in excinfo.value.groups
            )
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Returns the name of the item. It has no position in a file."""
        return self.path, None, self.name

    @property
    def _folder(self) -> Path:
        return self.config.rootpath / FOLDER


def parse_seconds(text: str) -> float:
    """Parses a time such as ``60s``, ``10m`` or ``2h``.

    Raises:
        ValueError: the text is not such a time.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh])", text)
    if not match or not float(match[1]):
        raise ValueError(f"must be a time such as 60s, 10m or 2h, not {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def items(session: pytest.Session) -> Iterator[CampaignItem]:
    """Yields an item for each implementation on the command line, or for each that is installed.

    Raises:
        UserError: an implementation on the command line is not installed, or no implementation is.
    """
    from conformance.run import implementations
    from conformance.worker.client import WorkerAdapter

    config = session.config
    names = config.getoption("--conformance-implementation")
    adapters, absent = implementations.split(implementations.load_all(names, isolated=True))
    if absent and (names or not adapters):
        raise UserError("\n".join(absent.values()))
    specs = names or [adapter.name for adapter in adapters]
    for adapter, spec in zip(adapters, specs, strict=True):
        if isinstance(adapter, WorkerAdapter):
            yield CampaignItem.from_parent(
                session,
                name=f"campaign[{adapter.name}]",
                adapter=adapter,
                spec=spec,
                seconds=config.getoption("--conformance-campaign"),
                seed=config.getoption("--conformance-campaign-seed"),
            )

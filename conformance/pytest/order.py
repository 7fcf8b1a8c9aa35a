"""Which cases pytest runs, and in which order."""

from collections.abc import Sequence
from typing import Any

import pytest

from conformance.pytest.items import CaseItem
from conformance.run.runner import order


def keep_shard(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes out the cases that are not in the shard asked for; other tests stay, in every shard."""
    shard = config.getoption("--conformance-shard")
    out = [item for item in items if isinstance(item, CaseItem) and not shard.holds(item.case.key, item.adapter.name)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]


def in_order(items: Sequence["CaseItem"]) -> list["CaseItem"]:
    """The dear implementations first, then by implementation and shape.

    With ``--dist=worksteal`` each worker begins with a stretch of the list, and an idle one takes the end of another's
    stretch: a framework that is slow to import then stays on the workers that began with it.
    """
    names = list(dict.fromkeys(item.adapter.name for item in items))

    def key(item: "CaseItem") -> tuple[Any, ...]:
        adapter = item.adapter
        return (-len(adapter.requires), adapter.requires, names.index(adapter.name), order(item.case))

    return sorted(items, key=key)

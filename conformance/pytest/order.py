"""Selects the cases of a shard, and sorts cases."""

from collections.abc import Sequence
from typing import Any

import pytest

from conformance.pytest.items import CaseItem
from conformance.run.plan import by_shape


def keep_shard(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the cases of other shards. Tests that are not cases stay in every shard."""
    shard = config.getoption("--conformance-shard")
    out = [item for item in items if isinstance(item, CaseItem) and not shard.holds(item.case.key, item.adapter.name)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]


def in_order(items: Sequence[CaseItem]) -> list[CaseItem]:
    """Sorts items by the number of packages that they need, most first, then by implementation and shape.

    With ``--dist=worksteal`` each worker starts with a contiguous part of the list, and an idle worker takes the end of
    another's part. A framework that is slow to import then stays on the workers that started with it.
    """
    names = list(dict.fromkeys(item.adapter.name for item in items))

    def key(item: CaseItem) -> tuple[Any, ...]:
        adapter = item.adapter
        return (-len(adapter.requires), adapter.requires, names.index(adapter.name), by_shape(item.case))

    return sorted(items, key=key)

"""The order in which pytest runs cases."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from conformance.runner import order

if TYPE_CHECKING:
    from conformance.pytest_items import CaseItem


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

"""The power of a set of cases, on a terminal and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power.power import Power, Visible
from conformance.defects.power.published import Measured

_SHOWN = 20


@dataclass(frozen=True)
class Against:
    """What the cases that one implementation supports would catch in it.

    Attributes:
        name: the implementation.
        supported: cases that it supports.
        cases: all of them.
        power: of those that it supports.
        lost: by the reason for which cases are unsupported, the defects that only such cases see.
    """

    name: str
    supported: int
    cases: int
    power: Power
    lost: Mapping[str, Sequence[str]]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "implementation": self.name,
            "supported": self.supported,
            "cases": self.cases,
            **_shares(self.power),
            "lost": dict(self.lost),
        }


def show(console: Console, power: Power) -> None:
    """Prints all that a kill matrix says."""
    equivalent = [defect for defect in CATALOGUE if defect.equivalent]
    console.print(
        f"{len(CATALOGUE)} defects on {len(power.rows)} cases; {len(equivalent)} of them cannot be told from a "
        "correct LSTM\n",
        soft_wrap=True,
    )
    console.print(Text(f"Power: {power.total} of the defects that apply are detected", style="bold"))
    table = _table("by dtype", "detected/apply", "by feature", "detected/apply")
    left, right = list(power.by_dtype().items()), list(power.by_feature().items())
    for place in range(max(len(left), len(right))):
        cells = [*(left[place] if place < len(left) else ("", "")), *(right[place] if place < len(right) else ("", ""))]
        table.add_row(*map(str, cells))
    console.print(table)
    _list(console, "Seen by no case", power.undetected, "bold red")
    _list(console, "No case has what these take", power.inapplicable, "bold yellow")
    _list(console, "Said to be equivalent to a correct LSTM, yet detected", power.contradicted, "bold red")
    if equivalent:
        console.print(Text("Equivalent to a correct LSTM", style="bold"))
        for defect in equivalent:
            console.print(f"  {defect.id}: {defect.equivalent}", soft_wrap=True, markup=False)
        console.print()
    _show_smallest(console, power.smallest())
    sufficient = power.sufficient()
    console.print(Text("Cases that add nothing", style="bold"))
    console.print(
        f"  {len(sufficient)} cases see all that the {len(power.rows)} see, in every dtype; the other "
        f"{len(power.rows) - len(sufficient)} add nothing that this catalogue knows of. Those {len(sufficient)}:",
        soft_wrap=True,
    )
    for row in sufficient[:_SHOWN]:
        console.print(f"  {row.case.id}", soft_wrap=True, markup=False)
    if len(sufficient) > _SHOWN:
        console.print(f"  and {len(sufficient) - _SHOWN} more, all in --json")


def show_against(console: Console, against: Against) -> None:
    """Prints what one implementation's unsupported options cost."""
    power = against.power
    console.print()
    console.print(
        Text(f"{against.name}: {power.total} with the {against.supported} of {against.cases} cases that it supports"),
        style="bold",
        soft_wrap=True,
    )
    console.print("  " + ", ".join(f"{dtype} {share}" for dtype, share in power.by_dtype().items()), soft_wrap=True)
    for reason, ids in against.lost.items():
        if ids:
            console.print(f"  not detected, since {reason}: {', '.join(ids)}", soft_wrap=True, markup=False)
    _list(console, "  detected by no supported case", power.undetected, "red")


def show_suites(console: Console, suites: Sequence[Measured]) -> None:
    """Prints the power of several suites, side by side."""
    table = _table("suite", "tolerance", "gate orders", "other forward", "gradients", "all")
    for suite in suites:
        cells = [str(suite.gates), str(suite.forward), str(suite.gradients), str(suite.all)]
        table.add_row(suite.name, suite.tolerance, *([suite.absent, "", "", ""] if suite.absent else cells))
    console.print(Text("Defects detected, each suite at its own tolerance", style="bold"))
    console.print(table)


def as_json(power: Power) -> dict[str, Any]:
    """All that a kill matrix says, as JSON values."""
    sufficient = {id(row) for row in power.sufficient()}
    return {
        "defects": len(CATALOGUE),
        "cases": len(power.rows),
        **_shares(power),
        "inapplicable": [defect.id for defect in power.inapplicable],
        "contradicted": [defect.id for defect in power.contradicted],
        "equivalent": {defect.id: defect.equivalent for defect in CATALOGUE if defect.equivalent},
        "smallest": [vars(visible) for visible in power.smallest()],
        "sufficient": [row.case.id for row in power.rows if id(row) in sufficient],
        "adding_nothing": [row.case.id for row in power.rows if id(row) not in sufficient],
    }


def suite_as_json(suite: Measured) -> dict[str, Any]:
    """A suite's power as JSON values."""
    shares = {name: getattr(suite, name)._asdict() for name in ("gates", "forward", "gradients", "all")}
    return {"suite": suite.name, "tolerance": suite.tolerance, "absent": suite.absent, **shares}


def _shares(power: Power) -> dict[str, Any]:
    return {
        "power": power.total._asdict(),
        "by_dtype": {name: share._asdict() for name, share in power.by_dtype().items()},
        "by_feature": {name: share._asdict() for name, share in power.by_feature().items()},
        "undetected": [defect.id for defect in power.undetected],
    }


def _list(console: Console, title: str, defects: Sequence[Defect], style: str) -> None:
    if not defects:
        return
    console.print(Text(title, style=style))
    for defect in defects:
        console.print(f"  {defect.id}: an LSTM {defect.what}", soft_wrap=True, markup=False)
    console.print()


def _show_smallest(console: Console, found: Sequence[Visible]) -> None:
    dtypes = list(dict.fromkeys(visible.dtype for visible in found))
    if not dtypes:
        return
    table = _table("smallest visible size", *dtypes)
    sizes = {(visible.defect, visible.dtype): visible.size for visible in found}
    for name in dict.fromkeys(visible.defect for visible in found):
        cells = [sizes.get((name, dtype)) for dtype in dtypes]
        table.add_row(name, *("-" if size is None else f"{size:.1e}" for size in cells))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or column.startswith("by ") else "right")
    return table

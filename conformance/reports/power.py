"""Power of a set of cases, printed on a terminal or as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power.power import Power, SmallestSize
from conformance.defects.power.published.suite_power import SuitePower

_MAX_CASES = 20
"""Number of cases to list on a terminal."""


@dataclass(frozen=True)
class ImplementationPower:
    """Power of the cases that one implementation supports.

    Attributes:
        name: name of the implementation.
        supported: number of supported cases.
        cases: number of all cases.
        power: power of the supported cases.
        lost: ids of the defects that only unsupported cases detect, by the reason why the cases are unsupported.
    """

    name: str
    supported: int
    cases: int
    power: Power
    lost: Mapping[str, Sequence[str]]

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "implementation": self.name,
            "supported": self.supported,
            "cases": self.cases,
            **_shares(self.power),
            "lost": dict(self.lost),
        }


def print_power(console: Console, power: Power) -> None:
    """Prints the power of a set of cases: shares, undetected defects, smallest sizes and cases that add nothing."""
    equivalent = [defect for defect in CATALOGUE if defect.equivalent]
    counts = f"{len(CATALOGUE)} defects ({len(equivalent)} equivalent to a correct LSTM), {len(power.rows)} cases"
    console.print(f"{counts}\n", soft_wrap=True)
    console.print(Text(f"Power: {power.total} of the applicable defects are detected", style="bold"))
    table = _table("by dtype", "detected/applicable", "by feature", "detected/applicable")
    for left, right in zip_longest(power.by_dtype().items(), power.by_feature().items(), fillvalue=("", "")):
        table.add_row(*map(str, (*left, *right)))
    console.print(table)
    _print_defects(console, "Detected by no case", power.undetected, "bold red")
    _print_defects(console, "Applicable to no case", power.inapplicable, "bold yellow")
    _print_defects(console, "Marked as equivalent to a correct LSTM, but detected", power.contradicted, "bold red")
    if equivalent:
        console.print(Text("Equivalent to a correct LSTM", style="bold"))
        for defect in equivalent:
            console.print(f"  {defect.id}: {defect.equivalent}", soft_wrap=True, markup=False)
        console.print()
    _print_smallest_sizes(console, power.smallest_sizes())
    _print_redundancy(console, power)


def print_implementation_power(console: Console, measured: ImplementationPower) -> None:
    """Prints the power of the cases that one implementation supports, and the defects lost with the other cases."""
    power = measured.power
    console.print()
    console.print(
        Text(
            f"{measured.name}: {power.total} with the {measured.supported} of {measured.cases} cases that it supports"
        ),
        style="bold",
        soft_wrap=True,
    )
    console.print("  " + ", ".join(f"{dtype} {share}" for dtype, share in power.by_dtype().items()), soft_wrap=True)
    for reason, ids in measured.lost.items():
        if ids:
            console.print(f"  not detected because {reason}: {', '.join(ids)}", soft_wrap=True, markup=False)
    _print_defects(console, "  detected by no supported case", power.undetected, "red")


def print_suites(console: Console, suites: Sequence[SuitePower]) -> None:
    """Prints the power of several suites as a table."""
    table = _table("suite", "tolerance", "gate orders", "other forward", "gradients", "all")
    for suite in suites:
        cells = [str(suite.gates), str(suite.forward), str(suite.gradients), str(suite.all)]
        table.add_row(suite.name, suite.tolerance, *([suite.absent, "", "", ""] if suite.absent else cells))
    console.print(Text("Defects detected, each suite at its own tolerance", style="bold"))
    console.print(table)


def as_json(power: Power) -> dict[str, Any]:
    """Returns the power of a set of cases as JSON values."""
    sufficient = {id(row) for row in power.sufficient_rows()}
    return {
        "defects": len(CATALOGUE),
        "cases": len(power.rows),
        **_shares(power),
        "inapplicable": [defect.id for defect in power.inapplicable],
        "contradicted": [defect.id for defect in power.contradicted],
        "equivalent": {defect.id: defect.equivalent for defect in CATALOGUE if defect.equivalent},
        "smallest": [asdict(smallest) for smallest in power.smallest_sizes()],
        "sufficient": [row.case.id for row in power.rows if id(row) in sufficient],
        "adding_nothing": [row.case.id for row in power.rows if id(row) not in sufficient],
    }


def suite_as_json(suite: SuitePower) -> dict[str, Any]:
    """Returns a suite's power as JSON values."""
    shares = {name: getattr(suite, name)._asdict() for name in ("gates", "forward", "gradients", "all")}
    return {"suite": suite.name, "tolerance": suite.tolerance, "absent": suite.absent, **shares}


def _shares(power: Power) -> dict[str, Any]:
    return {
        "power": power.total._asdict(),
        "by_dtype": {name: share._asdict() for name, share in power.by_dtype().items()},
        "by_feature": {name: share._asdict() for name, share in power.by_feature().items()},
        "undetected": [defect.id for defect in power.undetected],
    }


def _print_defects(console: Console, title: str, defects: Sequence[Defect], style: str) -> None:
    if not defects:
        return
    console.print(Text(title, style=style))
    for defect in defects:
        console.print(f"  {defect.id}: an LSTM {defect.what}", soft_wrap=True, markup=False)
    console.print()


def _print_smallest_sizes(console: Console, found: Sequence[SmallestSize]) -> None:
    dtypes = list(dict.fromkeys(smallest.dtype for smallest in found))
    if not dtypes:
        return
    table = _table("smallest detected size", *dtypes)
    sizes = {(smallest.defect, smallest.dtype): smallest.size for smallest in found}
    for name in dict.fromkeys(smallest.defect for smallest in found):
        cells = [sizes.get((name, dtype)) for dtype in dtypes]
        table.add_row(name, *("-" if size is None else f"{size:.1e}" for size in cells))
    console.print(table)


def _print_redundancy(console: Console, power: Power) -> None:
    sufficient = power.sufficient_rows()
    console.print(Text("Cases that add nothing", style="bold"))
    console.print(
        f"  {len(sufficient)} cases detect everything that all {len(power.rows)} cases detect, in every dtype. The "
        f"other {len(power.rows) - len(sufficient)} detect no further defect of this catalogue. The {len(sufficient)} "
        "cases:",
        soft_wrap=True,
    )
    for row in sufficient[:_MAX_CASES]:
        console.print(f"  {row.case.id}", soft_wrap=True, markup=False)
    if len(sufficient) > _MAX_CASES:
        console.print(f"  and {len(sufficient) - _MAX_CASES} more; `--json` lists all")


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or column.startswith("by ") else "right")
    return table

"""Compares ways to shrink a deviating case: by dropping options, as campaigns do, and with Hypothesis.

Each deviation is a defect of the catalogue on a random case that detects it. The columns are the number of runs of the
implementation, the number of options of the smallest case that are not at their defaults, and its operations, in
thousands. Hypothesis finds its own first deviating case.
"""

import random
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from pydantic import ValidationError

from benchmarks.arguments import make_parser
from conformance.campaign.draw import Drawer
from conformance.campaign.levels import all_levels
from conformance.campaign.shrink import shrink
from conformance.cases.case import Case
from conformance.cases.size import estimate, operations
from conformance.defects.defect import Defect
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.run.controls import Control
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle

MAX_SECONDS = 0.05
MAX_EXAMPLES = 2000


class Shrunk(NamedTuple):
    """The result of shrinking.

    Attributes:
        runs: number of runs of the implementation.
        options: number of options that are not at their defaults, besides sizes and seed.
        operations: operations of the case.
    """

    runs: int
    options: int
    operations: int


def main() -> None:
    """Prints a row for each deviation, and the medians."""
    parser = make_parser("shrink", __doc__)
    parser.add_argument("--deviations", type=int, default=20, help="number of deviations; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed; default: %(default)s")
    args = parser.parse_args()
    print(f"{'':44}{'dropping':>32}{'Hypothesis':>32}")
    print(f"{'defect':44}" + 2 * f"{'runs':>16}{'options':>9}{'kops':>7}")
    rows = []
    for defect, case in deviations(args.deviations, args.seed):
        rows.append((by_dropping(defect, case), by_hypothesis(defect, args.seed)))
        print(f"{defect.id:44}{''.join(map(_columns, rows[-1]))}", flush=True)
    for name, summarize in (("median", median), ("largest", max)):
        columns = (_columns(_summary(column, summarize)) for column in zip(*rows, strict=True))
        print(f"{name:44}{''.join(columns)}")


def deviations(amount: int, seed: int) -> Iterator[tuple[Defect, Case]]:
    """Yields defects with a random case that detects each."""
    defects = random.Random(seed).sample(REQUIRED, amount)
    for defect in defects:
        drawer = Drawer(seed, max_seconds=MAX_SECONDS)
        deviates = runs_of(defect)
        yield defect, next(case for number in count() if (case := drawer.draw(number)) and deviates(case))


def runs_of(defect: Defect) -> Callable[[Case], bool]:
    """Returns a function that returns whether a case detects a defect."""
    runner = Runner(Oracle(None), diagnoses=False)
    control = Control(defect)
    return lambda case: (
        not case.refuses and control.supports(case) is None and runner.check(case, control).status == "fail"
    )


def by_dropping(defect: Defect, case: Case) -> Shrunk:
    """Shrinks a case as campaigns do."""
    deviates, runs = runs_of(defect), 0

    def counted(tried: Case) -> bool:
        nonlocal runs
        runs += 1
        return deviates(tried)

    return _measured(shrink(case, counted), runs)


def by_hypothesis(defect: Defect, seed: int) -> Shrunk | None:
    """Finds and shrinks a case with Hypothesis."""
    deviates, runs = runs_of(defect), 0

    def counted(tried: Case | None) -> bool:
        nonlocal runs
        if tried is None or estimate(tried).seconds > MAX_SECONDS:
            return False
        runs += 1
        return deviates(tried)

    quick = settings(
        max_examples=MAX_EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        return _measured(find(cases(), counted, settings=quick, random=random.Random(seed)), runs)
    except NoSuchExample:
        return None


@st.composite
def cases(draw: st.DrawFn) -> Case | None:
    """Draws a case from the levels of each option, the default first. The values' seed stays the same."""
    options: dict[str, Any] = {"seed": 0}
    sizes = {f"size {name}": draw(st.integers(2, 9)) for name in ("input_size", "hidden_size", "seq_len", "batch")}
    for name, levels in all_levels().items():
        level = draw(st.sampled_from(sorted(levels, key=lambda level: not level.default)))
        options[name] = level.draw(draw(st.randoms(use_true_random=False)), {**sizes, **options})
    try:
        return Case.model_validate(options)
    except ValidationError:
        return None


def _measured(case: Case | None, runs: int) -> Shrunk:
    assert case
    sizes = {"input_size", "hidden_size", "num_layers", "seq_len", "batch", "seed"}
    described = {"name", "file", "line", "tags", "notes", "links"}
    options = case.model_dump(exclude_defaults=True, exclude=sizes | described)
    return Shrunk(runs, len(options), operations(case))


def _columns(shrunk: Shrunk | None) -> str:
    if shrunk is None:
        return f"{'none found':>32}"
    return f"{shrunk.runs:>16.0f}{shrunk.options:>9.0f}{shrunk.operations / 1000:>7.0f}"


def _summary(column: tuple[Shrunk | None, ...], summarize: Callable[..., Any]) -> Shrunk:
    found = [shrunk for shrunk in column if shrunk]
    return Shrunk(*(summarize(values) for values in zip(*found, strict=True)))


if __name__ == "__main__":
    main()

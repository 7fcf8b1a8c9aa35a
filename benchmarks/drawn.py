"""Case files with random cases of a campaign, for benchmarks of cases that are not shipped.

``python -m benchmarks.drawn 500 --seed 7 > drawn.yaml`` writes one. All cases are distinct. ``torch.nn.LSTM`` supports
them.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.arguments import make_parser
from conformance.adapters import registry
from conformance.campaign.draw import Drawer
from conformance.cases import schema

MAX_SECONDS = 0.1
"""Estimated CPU seconds of the largest case."""


def draw_cases(amount: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yields the options of distinct cases."""
    drawer = Drawer(seed, registry.load("torch.nn.LSTM").features, MAX_SECONDS)
    found: set[str] = set()
    number = 0
    while len(found) < amount:
        case = drawer.draw(number)
        number += 1
        if case and case.key not in found:
            found.add(case.key)
            yield case.model_dump(mode="json", exclude_defaults=True, include=set(schema.options()))


def as_yaml(cases: Iterable[dict[str, Any]]) -> str:
    """Returns a case file. JSON is valid YAML."""
    return "cases:\n" + "".join(f"  drawn-{number}: {json.dumps(options)}\n" for number, options in enumerate(cases, 1))


def main() -> None:
    """Prints a case file."""
    parser = make_parser("drawn", __doc__)
    parser.add_argument("amount", type=int, help="number of cases")
    parser.add_argument("--seed", type=int, default=0, help="seed of all cases; default: %(default)s")
    args = parser.parse_args()
    print(as_yaml(draw_cases(args.amount, args.seed)), end="")


if __name__ == "__main__":
    main()

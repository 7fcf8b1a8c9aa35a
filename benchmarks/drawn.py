"""Case files with randomly drawn small cases, for benchmarks of cases that are not shipped.

``python -m benchmarks.drawn 500 --seed 7 > drawn.yaml`` writes one. All cases are distinct. ``torch.nn.LSTM`` supports
all options in them.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.arguments import make_parser
from conformance.cases.case import Case


def draw_cases(amount: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yields the options of distinct cases."""
    random = np.random.default_rng(seed)
    found: set[str] = set()
    while len(found) < amount:
        options = _draw(random)
        case = Case.model_validate(options)
        if case.key not in found:
            found.add(case.key)
            yield options


def as_yaml(cases: Iterable[dict[str, Any]]) -> str:
    """Returns a case file. JSON is valid YAML."""
    return "cases:\n" + "".join(f"  drawn-{number}: {json.dumps(options)}\n" for number, options in enumerate(cases, 1))


def _draw(random: np.random.Generator) -> dict[str, Any]:
    """Draws the options of one case."""

    def one_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    hidden, steps, rows = (int(random.integers(low, 9)) for low in (3, 2, 2))
    options: dict[str, Any] = {
        "input_size": one_of(hidden, int(random.integers(1, 9))),
        "hidden_size": hidden,
        "num_layers": one_of(1, 1, 2, 3),
        "direction": one_of("forward", "forward", "bidirectional"),
        "bias": one_of(True, True, True, False),
        "batch_first": one_of(True, False),
        "proj_size": one_of(0, 0, 0, hidden - 1),
        "seq_len": steps,
        "batch": one_of(rows, rows, rows, "unbatched"),
        "initial_state": one_of("random", "random", "zero", "omitted"),
        "dtype": one_of("float64", "float32", "float32", "bfloat16"),
        "values": one_of("scale-1", "uniform"),
    }
    if options["batch"] != "unbatched":
        options["lengths"] = one_of(None, None, "ragged")
    return options


def main() -> None:
    """Prints a case file."""
    parser = make_parser("drawn", __doc__)
    parser.add_argument("amount", type=int, help="number of cases")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random generator; default: %(default)s")
    args = parser.parse_args()
    print(as_yaml(draw_cases(args.amount, args.seed)), end="")


if __name__ == "__main__":
    main()

"""Random valid cases over all options of the schema, small enough to solve in milliseconds."""

import random
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import ValidationError

from conformance.cases.case import ActivationName, Case, DType, InitialState, Mask, Padding, Values
from reference.model import Direction

_DTYPES = get_args(DType)
_CHECKS: tuple[str, ...] = Case.model_fields["check"].default


def random_cases(seed: int, rate: float = 0.25) -> Iterator[Case]:
    """Yields random cases without end.

    Args:
        seed: seed of the generator.
        rate: probability of each option to differ from its default.
    """
    source = random.Random(seed)
    while True:
        try:
            yield Case.model_validate(_options(source, rate) | {"name": f"random-{seed}"})
        except ValidationError:
            continue  # Options that exclude each other.


def _options(source: random.Random, rate: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "input_size": source.randint(1, 4),
        "hidden_size": source.randint(1, 5),
        "seq_len": source.randint(1, 5),
        "batch": source.randint(1, 4),
        "num_layers": source.choice([1, 1, 2, 3]),
        "direction": source.choice(["forward", *get_args(Direction)]),
        "dtype": source.choice(_DTYPES),
        "initial_state": source.choice(["random", *get_args(InitialState)]),
        "values": source.choice(get_args(Values)),
        "check": source.choice([_CHECKS, _CHECKS, _CHECKS[:3], tuple(c for c in _CHECKS if source.random() < 0.5)]),
    }
    drawn: dict[str, Callable[[], Any]] = {
        "hidden_size": lambda: tuple(source.randint(1, 5) for _ in range(options["num_layers"])),
        "bias": lambda: False,
        "batch_first": lambda: True,
        "batch": lambda: "unbatched",
        "proj_size": lambda: source.randint(1, 3),
        "peepholes": lambda: True,
        "coupled_gates": lambda: True,
        "activations": lambda: _activations(source, options["direction"]),
        "clip": lambda: source.choice([0.1, 0.5, 1.0, 50.0]),
        "cell_clip": lambda: source.choice([0.1, 0.5, 1.0, 50.0]),
        "forget_bias": lambda: source.choice([1.0, -0.5]),
        "input_nan": lambda: True,
    }
    options |= {name: draw() for name, draw in drawn.items() if source.random() < rate}
    if "gradients" in options["check"] and source.random() < rate / 4:
        weight = "weight_hh_l0_reverse" if options["direction"] == "reverse" else "weight_hh_l0"
        options["frozen"] = ("input" if options["seq_len"] % 2 else weight,)
    if source.random() < 2 * rate:
        options["mode"] = "train"
        names = ("dropout", "input_dropout", "recurrent_dropout")
        options |= {name: source.choice([0.3, 0.5, 1.0]) for name in names if source.random() < rate}
    if options["batch"] != "unbatched" and source.random() < 2 * rate:
        options |= _rows(source, options["seq_len"], options["batch"])
    if options["seq_len"] == options["input_size"] == 3:
        options["earlier_calls"] = ("longer", "more-rows") if options["batch"] == 2 else ("longer",)
    return options


def _activations(source: random.Random, direction: str) -> tuple[str, ...]:
    gate, candidate, cell_state = (source.choice(get_args(ActivationName)) for _ in range(3))
    # Many implementations have a single activation for the candidate and the cell state.
    one_direction = (gate, candidate, source.choice([candidate, cell_state]))
    if direction == "bidirectional" and source.random() < 0.3:
        return (*one_direction, *(source.choice(get_args(ActivationName)) for _ in range(3)))
    return one_direction


def _rows(source: random.Random, steps: int, rows: int) -> dict[str, Any]:
    lengths = tuple(source.randint(0, steps) for _ in range(rows))
    full = (steps,) * rows
    without_empty = tuple(max(length, 1) for length in lengths)
    return {
        "lengths": source.choice(["ragged", lengths, without_empty, without_empty, full]),
        "mask": source.choice(["right", "right", *get_args(Mask)]),
        "padding": source.choice(get_args(Padding)),
    }

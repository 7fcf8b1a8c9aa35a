"""Levels: the values of each option that a campaign draws.

A level is a value, or a class of values, such as ``batch: unbatched`` and ``batch: several``. The levels of an option
follow from the schema of case files, so that new options take part.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args

from conformance.cases import schema
from conformance.cases.case import ActivationName, Case, Check
from conformance.cases.uses import Mistake

NUMBERS = (-0.5, 0.1, 0.5, 1.0, 50.0)
"""Values of options that are numbers, as far as the option accepts them."""
WHOLE_NUMBERS = (0, 1, 2, 3)
"""Values of options that are whole numbers but not sizes."""
SWITCHING = tuple(size + offset for size in (8, 16, 32, 64, 128, 256, 512, 1024) for offset in (-1, 0, 1))
"""Sizes around which kernels change their algorithm."""
PLACES = (1024, 4096, 65536)
"""Products of steps and rows around which kernels change their algorithm."""
MAX_SMALL = 9
"""Largest size in most cases."""
MAX_TINY = 3
"""Largest width of layers with a product of ``PLACES``."""
SWITCHING_SHARE, PLACES_SHARE = 0.08, 0.02
"""Shares of cases with a size of ``SWITCHING``, and with a product of ``PLACES`` and tiny layers."""

_SIZES = ("input_size", "hidden_size", "seq_len", "batch")
_FIRST = ("refuses", "num_layers", *_SIZES)
"""Options that are drawn first, because the values of others depend on them."""
_NOT_DRAWN = ("seed", "threads")
"""Options without levels: each case has another seed, and a number of threads needs a process of its own."""

Options = Mapping[str, Any]
Draw = Callable[[random.Random, Options], Any]


@dataclass(frozen=True)
class Level:
    """A class of values of an option.

    Attributes:
        option: name of the option.
        label: name of the class, unique within the option.
        draw: function that draws a value. Its arguments are the random generator, and the options drawn so far with
            the sizes of ``draw_sizes``.
        default: whether this is the level of the option's default.
    """

    option: str
    label: str
    draw: Draw
    default: bool = False

    def __str__(self) -> str:
        return f"{self.option}: {self.label}"


@cache
def all_levels() -> dict[str, tuple[Level, ...]]:
    """Returns the levels of each option, the default first, in the order in which options are drawn."""
    names = [name for name in schema.options() if name in Case.model_fields and name not in _NOT_DRAWN]
    return {
        name: tuple(sorted(_levels(name), key=lambda level: not level.default))
        for name in (*_FIRST, *(name for name in names if name not in _FIRST))
    }


def draw_sizes(source: random.Random) -> dict[str, int]:
    """Draws the sizes of a case: small ones, or some of those around which kernels change their algorithm."""
    sizes = {name: source.randint(2, MAX_SMALL) for name in _SIZES}
    kind = source.random()
    if kind < SWITCHING_SHARE:
        for name in source.sample(_SIZES, source.choice([1, 1, 2])):
            sizes[name] = source.choice(SWITCHING)
    elif kind < SWITCHING_SHARE + PLACES_SHARE:
        sizes |= {name: source.randint(1, MAX_TINY) for name in ("input_size", "hidden_size")}
        places = source.choice(PLACES) + source.choice([-1, 0, 1])
        one, other = source.sample(["seq_len", "batch"], 2)
        sizes |= {other: places // sizes[one]}
    return sizes


def _levels(name: str) -> Iterator[Level]:
    field = Case.model_fields[name]
    if name in _SPECIAL:
        for label, draw in _SPECIAL[name].items():
            yield Level(name, label, draw, default=label == _DEFAULT)
        return
    values = list(_values(schema.fields()[name]))
    if not field.is_required() and not any(_equal(value, field.default) for value in values):
        values.append(field.default)
    for value in values:
        yield Level(name, json.dumps(value).strip('"'), _constant(value), _equal(value, field.default))
    yield from _lists(name, schema.fields()[name])


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other and type(one) is type(other))


def _lists(name: str, described: schema.Schema) -> Iterator[Level]:
    """Yields levels of an option that is a list: some of the accepted words, or sizes whose sum is ``seq_len``."""
    for choice in described.get("anyOf", [described]):
        match choice:
            case {"type": "array", "items": {"enum": words}}:
                yield Level(name, "some", _some(words))
            case {"type": "array", "items": {"type": "integer"}}:
                yield Level(name, "parts", _parts)


def _some(words: Sequence[str]) -> Draw:
    """Returns a function that draws some of the words, but not all, in their order."""
    return lambda source, _: tuple(
        sorted(source.sample(words, source.randint(1, max(1, len(words) - 1))), key=words.index)
    )


def _parts(source: random.Random, options: Options) -> tuple[int, ...]:
    """Draws sizes whose sum is the number of steps."""
    steps = options["seq_len"]
    cuts = sorted(source.sample(range(1, steps), source.randint(0, min(2, steps - 1))))
    return tuple(end - start for start, end in pairwise([0, *cuts, steps]))


def _values(described: schema.Schema) -> Iterator[Any]:
    """Yields values that a JSON Schema accepts."""
    match described:
        case {"anyOf": choices}:
            for choice in choices:
                yield from _values(choice)
        case {"enum": words}:
            yield from words
        case {"const": word}:
            yield word
        case {"type": "boolean"}:
            yield from (False, True)
        case {"type": "null"}:
            yield None
        case {"type": "number" | "integer" as kind}:
            low, high = described.get("minimum", 0), described.get("maximum", WHOLE_NUMBERS[-1])
            default = described.get("default")
            numbers = NUMBERS if kind == "number" else WHOLE_NUMBERS
            yield from sorted(
                {number for number in (default, *numbers) if number is not None and low <= number <= high}
            )


def _constant(value: Any) -> Draw:
    return lambda *_: value


def _size(name: str) -> Draw:
    return lambda _, options: options[f"size {name}"]


def _per_layer(source: random.Random, options: Options) -> tuple[int, ...]:
    return tuple(source.randint(1, MAX_SMALL) for _ in range(options["num_layers"]))


def _frozen(source: random.Random, options: Options) -> tuple[str, ...]:
    """Draws names of tensors that most cases have."""
    biases = ("bias_ih_l0", "bias_hh_l0") if options["bias"] else ()
    return tuple(source.sample(["input", "weight_ih_l0", "weight_hh_l0", *biases], source.randint(1, 3)))


def _activations(directions: int) -> Draw:
    """Returns a function that draws three names for each direction, of which the last two are often equal."""

    def draw(source: random.Random, options: Options) -> tuple[str, ...]:
        del options
        names: list[str] = []
        for _ in range(directions):
            gate, candidate, cell_state = (source.choice(get_args(ActivationName)) for _ in range(3))
            names += [gate, candidate, source.choice([candidate, cell_state])]
        return tuple(names)

    return draw


def _lengths(low: int) -> Draw:
    """Returns a function that draws the number of valid steps of each row, at least ``low``."""

    def draw(source: random.Random, options: Options) -> tuple[int, ...] | None:
        rows, steps = options["batch"], options["seq_len"]
        return None if rows == "unbatched" else tuple(source.randint(low, steps) for _ in range(rows))

    return draw


def _with_empty_row(source: random.Random, options: Options) -> tuple[int, ...] | None:
    lengths = _lengths(0)(source, options)
    if lengths is None:
        return None
    empty = source.randrange(len(lengths))
    return (*lengths[:empty], 0, *lengths[empty + 1 :])


def _full(source: random.Random, options: Options) -> tuple[int, ...] | None:
    del source
    return None if options["batch"] == "unbatched" else (options["seq_len"],) * options["batch"]


_CHECKS: tuple[Check, ...] = Case.model_fields["check"].default
_DEFAULT = "default"
_SPECIAL: Mapping[str, Mapping[str, Draw]] = {
    **{name: {"several": _size(name), "1": _constant(1)} for name in ("input_size", "seq_len")},
    "batch": {"several": _size("batch"), "1": _constant(1), "unbatched": _constant("unbatched")},
    "hidden_size": {"several": _size("hidden_size"), "1": _constant(1), "per layer": _per_layer},
    "reverse_hidden_size": {_DEFAULT: _constant(None), "other": lambda source, _: source.randint(1, MAX_SMALL)},
    "num_layers": {_DEFAULT: _constant(1), "2": _constant(2), "3": _constant(3)},
    "proj_size": {
        _DEFAULT: _constant(0),
        "several": lambda source, options: source.randint(1, max(1, options["size hidden_size"] - 1)),
    },
    "activations": {
        _DEFAULT: _constant(Case.model_fields["activations"].default),
        "others": _activations(1),
        "per direction": _activations(2),
    },
    "lengths": {
        _DEFAULT: _constant(None),
        "ragged": _constant("ragged"),
        "full": _full,
        "nonzero": _lengths(1),
        "with an empty row": _with_empty_row,
    },
    "frozen": {_DEFAULT: _constant(()), "some": _frozen},
    "check": {
        # A refused call has no gradients.
        _DEFAULT: lambda _, options: _CHECKS[:3] if options.get("refuses") else _CHECKS,
        "without gradients": _constant(_CHECKS[:3]),
        "some": _some(_CHECKS),
        "along a direction": _some(("jvp", "hvp")),
    },
    "refuses": {_DEFAULT: _constant(None), "a mistake": lambda source, _: source.choice(get_args(Mistake))},
}
"""Levels of the options whose values depend on others, or of which there are too many."""

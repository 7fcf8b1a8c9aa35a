"""Reads a report's description of a mistake back into data, so that the explanation itself can be tested."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from benchmarks.grammar.mistake import DIRECTIONS, GATES, Change, Mistake, Place, Role

_LETTERS = "ifgo"
_AXIS = "(layer|row|step|unit)"
_PLACES: dict[str, Callable[[Any], Place]] = {
    r"the (\w+) direction": lambda m: Place("direction", "is", DIRECTIONS.index(m[1])),
    r"the (\w+) gate": lambda m: Place("gate", "is", GATES.index(m[1])),
    rf"the last {_AXIS}": lambda m: Place(m[1], "last"),
    rf"all {_AXIS}s but the last": lambda m: Place(m[1], "not-last"),
    rf"(odd|even) {_AXIS}s": lambda m: Place(m[2], m[1]),
    rf"{_AXIS}s from (\d+) on": lambda m: Place(m[1], "from", int(m[2])),
    rf"{_AXIS}s up to (\d+)": lambda m: Place(m[1], "up-to", int(m[2])),
    rf"{_AXIS}s after the last multiple of (\d+)": lambda m: Place(m[1], "tail", int(m[2])),
    r"the last valid step of each row": lambda _: Place("step", "end"),
    r"the padding": lambda _: Place("step", "padding"),
    rf"{_AXIS} (\d+)": lambda m: Place(m[1], "is", int(m[2])),
    rf"{_AXIS}s (\d+(?:, \d+)*)": lambda m: Place(m[1], "among", tuple(map(int, m[2].split(", ")))),
}
_PLACE = "(?:" + "|".join(re.sub(r"\((?!\?)", "(?:", pattern) for pattern in _PLACES) + ")"
_EVERY = r"(?:every \w+|both directions)"
_SENTENCE = re.compile(
    r"(?P<verb>reads|returns|ignores) (?P<cotangents>the cotangents of )?"
    r"(?P<kinds>[\w.]+(?:, [\w.]+)*(?: and [\w.]+)?)"
    rf"(?: of (?P<places>{_PLACE}(?:, {_PLACE})*))?(?: of {_EVERY})?(?: in (?P<units>{_PLACE}))?(?: (?P<words>.*))?"
)
_ENDINGS = (
    "; the gradients do not follow",
    "; the gradients are correct",
    ", but returns gradients as if it read them",
)
_LENGTHS = {
    "as T in every row": "ignored",
    "one too large": "too-large",
    "one too small": "too-small",
    "with its rows in reverse order": "reversed",
    "from row 0": "of-first-row",
    "in ascending order": "ascending",
    "in descending order": "descending",
}


def read(text: str) -> list[Mistake] | None:
    """Returns the mistakes that a sentence describes; None if it cannot be read."""
    if text.startswith("computes "):
        return _curves(text)
    if text.startswith("rounds "):
        return _rounding(text)
    follows = True
    for ending in _ENDINGS:
        if text.endswith(ending):
            text, follows = text.removesuffix(ending), False
    found = _SENTENCE.fullmatch(text)
    if found is None:
        return None
    kinds = tuple(re.split(r", | and ", found["kinds"]))
    words = "as zeros" if found["verb"] == "ignores" else found["words"] or ""
    if kinds == ("lengths",):
        return [Mistake("lengths", (), Change(_LENGTHS[words]))] if words in _LENGTHS else None
    texts = [*re.findall(_PLACE, found["places"] or ""), *([found["units"]] if found["units"] else [])]
    where = tuple(map(_place, texts))
    role: Role = "cotangents" if found["cotangents"] else "reads" if found["verb"] != "returns" else "returns"
    if kinds[0].startswith("grad."):
        role, kinds = "gradients", tuple(kind.removeprefix("grad.") for kind in kinds)
    if table := re.fullmatch(r"in the wrong places \((.*)\)", words):
        return [Mistake(role, *entry, follows=follows) for entry in _table(table[1])]
    change = _change(words)
    return None if change is None else [Mistake(role, kinds, change, where, follows=follows)]


def _place(text: str) -> Place:
    return next(make(found) for pattern, make in _PLACES.items() if (found := re.fullmatch(pattern, text)))


def _change(words: str) -> Change | None:
    for pattern, make in _CHANGES.items():
        if found := re.fullmatch(pattern, words):
            change: Change = make(found)
            if pattern.startswith("as if"):
                # Who expects the gates in another order reads the gates in the inverse order.
                order = tuple(sorted(range(4), key=change.value.__getitem__))
                return Change("order", "gate", order)
            return change
    return None


def _letters(text: str) -> tuple[int, ...]:
    return tuple(_LETTERS.index(letter) for letter in text.split(", "))


_CHANGES: dict[str, Callable[[Any], Change]] = {
    r"as zeros": lambda _: Change("zero"),
    r"multiplied by (.*)": lambda m: Change("times", "", m[1]),
    r"with the (row|step|layer|unit)s in reverse order": lambda m: Change("reverse", m[1]),
    r"with the directions exchanged": lambda _: Change("reverse", "direction"),
    r"with the rows in the order (.*)": lambda m: Change("order", "row", tuple(map(int, m[1].split(", ")))),
    r"from (row|layer|unit) (\d+)": lambda m: Change("only", m[1], int(m[2])),
    r"from the (first|last) step": lambda m: Change("only", "step", 0 if m[1] == "first" else -1),
    r"from the (step|unit|row) (before|after), around the ends": lambda m: Change(
        "shift", m[1], 1 if m[2] == "after" else -1
    ),
    r"from the step (before|after), zeros at the end": lambda m: Change("delay", "step", 1 if m[1] == "after" else -1),
    r"from the (forward|reverse) direction": lambda m: Change("only", "direction", DIRECTIONS.index(m[1])),
    r"from the sum of both directions": lambda _: Change("sum"),
    r"from the (\w+) gate": lambda m: Change("only", "gate", GATES.index(m[1])),
    r"as if the gates were in the order (.*)": lambda m: Change("order", "gate", _letters(m[1])),
    r"with the gates in the order (.*)": lambda m: Change("order", "gate", _letters(m[1])),
    r"exchanged": lambda _: Change("kind"),
    r"from the (first|last) step of output": lambda m: Change("step-of-output", "", 0 if m[1] == "first" else -1),
    r"from (?:grad\.)?(\w+)": lambda m: Change("kind", "", m[1]),
    r"reshaped from .*": lambda _: Change("reshape"),
    r"with directions before layers": lambda _: Change("directions-first"),
}


# --------------------------------------------------------------------------- wrong computations

_CURVED = {
    "input gate": "input_gate",
    "forget gate": "forget_gate",
    "candidate": "candidate",
    "output gate": "output_gate",
    "cell state": "cell_state",
}
_SCOPED = re.compile(
    r"the (?P<names>.+?)(?: in layer (?P<layer>\d+))?(?: in the (?P<direction>\w+) direction)? as (?P<curve>.+)"
)
_RIGHT_DERIVATIVE = "; the gradients use the derivative of the right function"
_CURVES: dict[str, Callable[[Any], tuple[str, Any]]] = {
    r"(?:sigmoid|tanh) that stays constant beyond ±(.+)": lambda m: ("saturates", _number(m[1])),
    r"a table of (?:sigmoid|tanh) with (\d+) pieces from -8 to 8, interpolated": lambda m: ("table", int(m[1])),
    r"(?:sigmoid|tanh)\((\S+) z\)": lambda m: ("slope", _number(m[1])),
    r"(?:sigmoid|tanh)\(z ([+-]) (\S+)\)": lambda m: ("added", _number(m[2]) * (-1 if m[1] == "-" else 1)),
    r"a hard sigmoid, 0.2 z \+ 0.5 .*": lambda _: ("hard_sigmoid", None),
    r"a hard sigmoid, 1/6 z \+ 0.5 .*": lambda _: ("hard_sigmoid_6", None),
    r"(relu|softsign)": lambda m: (m[1], None),
}
_ROUNDED_IN_CELL = {"the cell state": "c", "the hidden state": "h", "the gates": "gates"}
_WEIGHTS = ("weight_ih", "weight_hh")
_ROUNDED_TENSORS: dict[str, tuple[str, ...]] = {
    "the input": ("input",),
    **{name: (name,) for name in _WEIGHTS},
    **dict.fromkeys(("all weights", "the weights in matrix products"), _WEIGHTS),
}
_BITS = {"float32": 24, "float16 or TF32 (11 bits)": 11, "float16": 11, "bfloat16": 8}


def _curves(text: str) -> list[Mistake] | None:
    """Reads which activations are computed as which curves."""
    follows = not text.endswith(_RIGHT_DERIVATIVE)
    mistakes: list[Mistake] = []
    for clause in text.removeprefix("computes ").removesuffix(_RIGHT_DERIVATIVE).split(", and the "):
        scoped = _SCOPED.fullmatch(clause if clause.startswith("the ") else f"the {clause}")
        if scoped is None:
            return None
        curves = ((re.fullmatch(pattern, scoped["curve"]), make) for pattern, make in _CURVES.items())
        curve = next((make(found) for found, make in curves if found), None)
        names = [name for name in _CURVED if name.removesuffix(" gate") in scoped["names"]]
        if curve is None or not names:
            return None
        where = [Place("layer", "is", int(scoped["layer"]))] if scoped["layer"] else []
        where += [Place("direction", "is", DIRECTIONS.index(scoped["direction"]))] if scoped["direction"] else []
        changes = (Change(curve[0], _CURVED[name], curve[1]) for name in names)
        mistakes += [Mistake("activation", (), change, tuple(where), follows=follows) for change in changes]
    return mistakes


def _rounding(text: str) -> list[Mistake] | None:
    """Reads which values are rounded to which format."""
    found = re.fullmatch(r"rounds (?P<place>.+) to (?P<format>.+)", text)
    if found is None or found["format"] not in _BITS:
        return None
    place, bits = found["place"], _BITS[found["format"]]
    if place in _ROUNDED_IN_CELL:
        return [Mistake("rounding", (), Change(_ROUNDED_IN_CELL[place], "", bits))]
    return [Mistake("rounding", (kind,), Change(kind, "", bits)) for kind in _ROUNDED_TENSORS.get(place, ())] or None


def _number(text: str) -> float:
    return float(Fraction(text))


# --------------------------------------------------------------------------- blocks in the wrong places


def _table(text: str) -> list[tuple[tuple[str, ...], Change, tuple[Place, ...]]]:
    """Reads the blocks that are in the wrong places."""
    entries: list[tuple[tuple[str, ...], Change, tuple[Place, ...]]] = []
    for entry in text.split("; "):
        target, sources = entry.split(" is ", 1)
        kind, at = _block(target)
        change = Change("blocks", "", tuple(_block(source) for source in sources.split(" plus ")))
        entries.append(((kind,), change, tuple(Place(axis, "is", value) for axis, value in at.items())))
    return entries


def _block(text: str) -> tuple[str, dict[str, int]]:
    """Reads the description of a block, such as ``grad.c_0, layer 1, forward, row 0``."""
    kind, *places = text.split(", ")
    at: dict[str, int] = {}
    for place in places:
        if place in DIRECTIONS:
            at["direction"] = DIRECTIONS.index(place)
        elif place.endswith(" gate"):
            at["gate"] = GATES.index(place.removesuffix(" gate"))
        else:
            axis, value = place.split()
            at[axis] = int(value)
    return kind.removeprefix("grad."), at

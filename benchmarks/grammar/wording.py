"""Reads a report's description of a mistake back into data, so that the explanation itself can be tested."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.grammar.mistake import DIRECTIONS, GATES, Change, Mistake, Place, Role

_LETTERS = "ifgo"
_PLACE = r"(?:layer \d+|the \w+ direction|row \d+|step \d+|the \w+ gate|unit \d+)"
_EVERY = r"(?:every \w+|both directions)"
_SENTENCE = re.compile(
    r"(?P<verb>reads|returns|ignores) (?P<cotangents>the cotangents of )?"
    r"(?P<kinds>[\w.]+(?:, [\w.]+)*(?: and [\w.]+)?)"
    rf"(?: of (?P<places>{_PLACE}(?:, {_PLACE})*))?(?: of {_EVERY})?(?: (?P<words>.*))?"
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
    where = tuple(map(_place, (found["places"] or "").split(", "))) if found["places"] else ()
    role: Role = "cotangents" if found["cotangents"] else "reads" if found["verb"] != "returns" else "returns"
    if kinds[0].startswith("grad."):
        role, kinds = "gradients", tuple(kind.removeprefix("grad.") for kind in kinds)
    if table := re.fullmatch(r"in the wrong places \((.*)\)", words):
        return [Mistake(role, *entry, follows=follows) for entry in _table(table[1])]
    change = _change(words, role)
    return None if change is None else [Mistake(role, kinds, change, where, follows=follows)]


def _place(text: str) -> Place:
    if found := re.fullmatch(r"the (\w+) (direction|gate)", text):
        return Place(found[2], "is", (DIRECTIONS if found[2] == "direction" else GATES).index(found[1]))
    axis, value = text.split()
    return Place(axis, "is", int(value))


def _change(words: str, role: Role) -> Change | None:
    for pattern, make in _CHANGES.items():
        if found := re.fullmatch(pattern, words):
            change: Change = make(found)
            if pattern.startswith("as if"):
                # Who expects the gates in another order reads the gates in the inverse order.
                order = tuple(sorted(range(4), key=change.value.__getitem__))
                return Change("order", "gate", order)
            return change
    del role
    return None


def _letters(text: str) -> tuple[int, ...]:
    return tuple(_LETTERS.index(letter) for letter in text.split(", "))


_CHANGES: dict[str, Callable[[Any], Change]] = {
    r"as zeros": lambda _: Change("zero"),
    r"as zeros in the padding": lambda _: Change("zero-in-padding"),
    r"multiplied by (.*)": lambda m: Change("times", "", m[1]),
    r"with the (row|step|layer)s in reverse order": lambda m: Change("reverse", m[1]),
    r"with the directions exchanged": lambda _: Change("reverse", "direction"),
    r"with the rows in the order (.*)": lambda m: Change("order", "row", tuple(map(int, m[1].split(", ")))),
    r"from (row|layer) (\d+)": lambda m: Change("only", m[1], int(m[2])),
    r"from the (first|last) step": lambda m: Change("only", "step", 0 if m[1] == "first" else -1),
    r"from the step (before|after), around the ends": lambda m: Change("shift", "step", 1 if m[1] == "after" else -1),
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

"""Draws mistakes from a seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.grammar.broken import Broken
from benchmarks.grammar.mistake import PARAMETERS, RESULTS, STATES, Change, Mistake, Place, Role, Term
from conformance.cases.case import Case
from conformance.defects.power.detection import DETECTED_ABOVE
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

KINDS = ("outputs", "inputs", "activations", "where", "when", "history", "precision")
"""Kinds of mistakes, one for each engine of a diagnosis."""
_PAIR_EVERY = 3
_SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 6, "num_layers": 2, "seq_len": 6, "batch": 4}
_VALUES: dict[str, Any] = {"dtype": "float64", "padding": "random"}
_VARIED: list[dict[str, Any]] = [
    {"direction": "bidirectional"},
    {"direction": "bidirectional", "lengths": "ragged"},
    {"direction": "forward"},
    {"direction": "reverse"},
]


@dataclass(frozen=True)
class Drawn:
    """Mistakes of one implementation.

    Attributes:
        kind: kind of the first mistake.
        mistakes: one mistake, or two.
        cases: cases with sizes that no probe has, in which the mistakes change values by more than twice the budget.
    """

    kind: str
    mistakes: tuple[Mistake, ...]
    cases: tuple[Case, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.mistakes))


def draw(seed: int) -> Drawn:
    """Draws the mistakes of a seed. Consecutive even seeds, and odd ones, go through the kinds in turn.

    Of three rounds through the kinds, one draws pairs.
    """
    choose = random.Random(f"mistakes {seed}")
    turn, place = divmod(seed // 2, len(KINDS))
    while True:
        kinds = [KINDS[place], *([choose.choice(KINDS)] if turn % _PAIR_EVERY == _PAIR_EVERY - 1 else [])]
        mistakes = tuple(_DRAWS[kind](choose) for kind in kinds)
        if len({(each.role, each.kinds) for each in mistakes}) < len(mistakes):
            continue
        cases = tuple(_visible(mistakes))
        alone = all(next(_visible((each,)), None) for each in mistakes) if len(mistakes) > 1 else True
        if cases and alone:
            return Drawn(KINDS[place], mistakes, cases)


def _visible(mistakes: Sequence[Mistake]) -> Iterator[Case]:
    """Yields cases in which mistakes change a value by more than twice the budget."""
    for case in _candidates(mistakes):
        adapter = Broken(mistakes)
        adapter.solve(make_problem(case, 1))
        problem = make_problem(case)
        expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
        if judge(problem, adapter.solve(problem), expectation).error_ratio > DETECTED_ABOVE:
            yield case


def _candidates(mistakes: Sequence[Mistake]) -> Iterator[Case]:
    required: dict[str, Any] = {}
    for term in (term for mistake in mistakes for term in mistake.when):
        if term.name == "places":
            required |= {"seq_len": 25, "batch": -(-term.value // 25)}
        elif term.name == "state":
            required["initial_state"] = "random" if term.value else "omitted"
        elif term.name == "lengths":
            required["lengths"] = "ragged" if term.value else None
        elif term.rule == "is":
            required[term.name] = term.value
        else:
            size = term.value + (term.rule == "not-multiple")
            required[term.name] = max(size, required.get(term.name, 0))
    found: dict[str, Case] = {}
    for varied in _VARIED:
        case = Case.model_validate({**_SIZES, **_VALUES, **varied} | required)
        if all(mistake.applies_to(case) for mistake in mistakes):
            found.setdefault(case.key, case)
    yield from found.values()


# --------------------------------------------------------------------------- changes

_ALONG = {
    "row": [Change("reverse", "row"), Change("only", "row", 0), Change("only", "row", 1), Change("shift", "row", -1)],
    "step": [
        Change("reverse", "step"),
        Change("only", "step", 0),
        Change("only", "step", -1),
        *(Change(verb, "step", by) for verb in ("shift", "delay") for by in (-1, 1)),
    ],
    "layer": [Change("reverse", "layer"), Change("only", "layer", 0), Change("only", "layer", 1)],
    "direction": [
        Change("reverse", "direction"),
        Change("only", "direction", 0),
        Change("only", "direction", 1),
        Change("sum"),
    ],
    "unit": [Change("reverse", "unit"), Change("shift", "unit", 1), Change("only", "unit", 0)],
    "gate": [],
}
_SIMPLE = [Change("zero"), *(Change("times", "", factor) for factor in ("-1", "2", "1/2", "1/B", "1/T", "1.01"))]


def _axes(kind: str) -> tuple[str, ...]:
    if kind in PARAMETERS:
        return "layer", "direction", "gate", "unit"
    return {"input": ("step", "row"), "output": ("step", "row", "direction", "unit")}.get(
        kind, ("layer", "direction", "row", "unit")
    )


def _any_change(choose: random.Random, kinds: Sequence[str]) -> Change:
    """Draws a change that is possible for the tensors of all kinds."""
    first, axes = kinds[0], _axes(kinds[0])
    gates = [0, 1, 2, 3]
    choose.shuffle(gates)
    families: list[list[Change]] = [_SIMPLE, *(_ALONG[axis] for axis in axes if _ALONG[axis])]
    if "gate" in axes:
        families.append([Change("order", "gate", tuple(gates)), Change("only", "gate", gates[0])])
    if len(kinds) == 1 and first in PARAMETERS:
        others = [kind for kind in PARAMETERS if kind != first and kind[:4] == first[:4]]
        families.append([Change("kind", "", other) for other in others])
    if len(kinds) == 1 and first in ("h_0", "c_0", "h_n", "c_n"):
        families.append([Change("kind"), Change("plus"), Change("directions-first")])
    if first in ("input", "output", "h_n", "c_n"):
        families.append([Change("reshape")])
    if first == "weight_hh":
        families.append([Change("transpose")])
    return choose.choice(choose.choice(families))


def _place(choose: random.Random, axes: Sequence[str]) -> Place:
    axis = choose.choice(axes)
    return Place(axis, "is", choose.randrange({"layer": 2, "direction": 2, "gate": 4}.get(axis, 3)))


def _maybe_place(choose: random.Random, kinds: Sequence[str], change: Change) -> tuple[Place, ...]:
    axes = [axis for axis in _axes(kinds[0]) if axis not in (change.axis, "unit")]
    return (_place(choose, axes),) if axes and choose.random() < 0.4 else ()


# --------------------------------------------------------------------------- kinds of mistakes


def _outputs(choose: random.Random) -> Mistake:
    if choose.random() < 0.5:
        kind = choose.choice(RESULTS)
        kinds = ("h_n", "c_n") if kind == "h_n" and choose.random() < 0.3 else (kind,)
        change = _any_change(choose, kinds)
        return Mistake("returns", kinds, change, _maybe_place(choose, kinds, change), follows=choose.random() < 0.5)
    kinds = (choose.choice((*PARAMETERS, "input", *STATES)),)
    change = _any_change(choose, kinds)
    return Mistake("gradients", kinds, change, _maybe_place(choose, kinds, change))


def _inputs(choose: random.Random) -> Mistake:
    draw = choose.random()
    if draw < 0.12:
        verbs = ("ignored", "too-large", "too-small", "reversed", "of-first-row", "ascending", "descending")
        return Mistake("lengths", (), Change(choose.choice(verbs)))
    if draw < 0.3:
        kinds: tuple[str, ...] = (choose.choice(RESULTS),)
        change = _any_change(choose, kinds)
        return Mistake("cotangents", kinds, change, _maybe_place(choose, kinds, change))
    groups = [(kind,) for kind in (*PARAMETERS, "input", *STATES)]
    kinds = choose.choice([*groups, PARAMETERS, PARAMETERS[:2], PARAMETERS[2:], STATES])
    change = _any_change(choose, kinds)
    return Mistake("reads", kinds, change, _maybe_place(choose, kinds, change), follows=choose.random() < 0.6)


def _activations(choose: random.Random) -> Mistake:
    gate = choose.choice(("input_gate", "forget_gate", "candidate", "output_gate", "cell_state"))
    names = ("hard_sigmoid", "hard_sigmoid_6") if gate not in ("candidate", "cell_state") else ("softsign", "relu")
    change = choose.choice(
        [
            Change("saturates", gate, choose.choice((1.0, 1.5, 2.0, 3.0))),
            Change("table", gate, choose.choice((16, 32, 64, 128, 256))),
            Change("slope", gate, choose.choice((0.5, 0.9, 1.1, 1.702))),
            Change("added", gate, choose.choice((-1.0, 0.5, 1.0, 2.0))),
            Change(choose.choice(names), gate),
        ]
    )
    where = (_place(choose, ("layer", "direction")),) if choose.random() < 0.4 else ()
    follows = change.verb not in ("saturates", "slope") or choose.random() < 0.5
    return Mistake("activation", (), change, where, follows=follows)


def _where(choose: random.Random) -> Mistake:
    roles: tuple[Role, ...] = ("reads", "returns", "gradients")
    role = choose.choice(roles)
    kind = choose.choice(RESULTS if role == "returns" else (*PARAMETERS, "input", *STATES))
    axes = list(_axes(kind))
    narrow = [Place(axis, "is", choose.randrange(3)) for axis in axes if axis in ("unit", "row", "step")]
    narrow += [Place(axis, "from", choose.randint(1, 3)) for axis in axes if axis in ("unit", "row", "step")]
    narrow += [Place(axis, choose.choice(("last", "odd"))) for axis in axes if axis in ("unit", "row", "step")]
    narrow += [Place("step", choose.choice(("end", "padding")))] if "step" in axes and role == "returns" else []
    places = [choose.choice(narrow)]
    rest = [axis for axis in axes if axis != places[0].axis]
    if choose.random() < 0.5 and rest:
        places.append(_place(choose, rest))
    follows = role == "gradients" or choose.random() < 0.6
    return Mistake(role, (kind,), choose.choice(_SIMPLE), tuple(places), follows=follows)


def _terms(choose: random.Random) -> tuple[Term, ...]:
    options = [
        Term("direction", "is", choose.choice(("bidirectional", "reverse", "forward"))),
        Term("bias", "is", choose.random() < 0.5),
        Term("batch_first", "is", True),
        Term("lengths", "is", choose.random() < 0.6),
        Term("state", "is", choose.random() < 0.5),
        Term("dtype", "is", choose.choice(("float64", "float32"))),
        Term("num_layers", "from", 2),
    ]
    sizes = [
        Term("seq_len", "is", 1),
        Term("batch", "is", 1),
        *(Term("batch", "from", size) for size in (9, 17, 33, 100)),
        *(Term("seq_len", "from", size) for size in (10, 33, 64, 100)),
        *(Term("hidden_size", "from", size) for size in (8, 16, 32, 64, 128)),
        Term("hidden_size", "not-multiple", choose.choice((4, 8))),
        *(Term("input_size", "from", size) for size in (8, 64, 256)),
        *(Term("places", "from", size) for size in (64, 256, 1025)),
    ]
    first = choose.choice(choose.choice((options, sizes)))
    second = choose.choice(options)
    return (first, second) if choose.random() < 0.35 and second.name != first.name else (first,)


def _when(choose: random.Random) -> Mistake:
    return replace(choose.choice((_outputs, _inputs))(choose), where=(), when=_terms(choose))


def _history(choose: random.Random) -> Mistake:
    verb = choose.choice(("stale", "accumulated", "carried", "first-call"))
    kinds = {
        "stale": (choose.choice((*RESULTS, "grad.weight_hh", "grad.input")),),
        "accumulated": (f"grad.{choose.choice(PARAMETERS)}",),
        "carried": (),
        "first-call": (choose.choice(PARAMETERS),),
    }[verb]
    return Mistake("history", kinds, Change(verb))


def _precision(choose: random.Random) -> Mistake:
    target = choose.choice(("all", "gates", "c", "h", "weight_hh", "weight_ih", "input"))
    kinds = (target,) if target in (*PARAMETERS, "input") else ()
    bits = 24 if target == "all" else choose.choice((24, 11, 8))
    return Mistake("rounding", kinds, Change(target, "", bits))


_DRAWS = {
    "outputs": _outputs,
    "inputs": _inputs,
    "activations": _activations,
    "where": _where,
    "when": _when,
    "history": _history,
    "precision": _precision,
}

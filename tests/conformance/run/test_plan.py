"""Plans select the cases of each implementation."""

from functools import cache

import pytest

from conformance.adapters import Adapter, registry
from conformance.adapters.adapter import ONLY_IF_NAMED
from conformance.cases import ON_DEMAND
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.select import Selection
from conformance.run.plan import SHOWN_FIRST, SLOW, in_starting_order, make_plan
from tests import fakes

CASES = [
    Case(name=name, input_size=1, hidden_size=1, seq_len=1, batch=1, tags=tags)
    for name, tags in (("one", ("few",)), ("two", ("few", "slow")), ("three", ()))
]


@cache
def shipped() -> list[Case]:
    return load_all([shipped_cases()])


@pytest.mark.parametrize(("named", "names"), [((), ["one", "two"]), (("expensive",), ["one", "two", "three"])])
def test_an_expensive_implementation_runs_only_its_tag_unless_named(named: tuple[str, ...], names: list[str]) -> None:
    [(_, cases)] = make_plan(Selection(), CASES, [fakes.Expensive()], named)
    assert [case.name for case in cases] == names


def test_some_case_has_each_default_tag() -> None:
    tags = {tag for case in shipped() for tag in case.tags}
    assert {registry.load(name).default_tag for name in registry.BUILT_IN} <= {"", ONLY_IF_NAMED, ON_DEMAND, *tags}


def test_well_known_implementations_start_first_and_then_expensive_ones() -> None:
    adapters: list[Adapter] = [fakes.Faithful(), fakes.Absent(), fakes.Expensive(), fakes.Picky()]
    for name in (*SLOW, *reversed(SHOWN_FIRST)):
        adapters.append(fakes.Faithful())
        adapters[-1].name = name
    started = [adapter.name for adapter, _ in in_starting_order([(adapter, CASES) for adapter in adapters])]
    assert started == [*SHOWN_FIRST, "expensive", "absent", *SLOW, "faithful", "picky"]


def test_the_implementations_that_start_early_are_registered() -> None:
    assert {*SHOWN_FIRST, *SLOW} <= set(registry.BUILT_IN)

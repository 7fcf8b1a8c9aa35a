"""Plans select the cases of each implementation."""

import pytest

from conformance.cases.case import Case
from conformance.cases.select import Selection
from conformance.run.plan import make_plan
from tests import fakes

CASES = [
    Case(name=name, input_size=1, hidden_size=1, seq_len=1, batch=1, tags=tags)
    for name, tags in (("one", ("few",)), ("two", ("few", "slow")), ("three", ()))
]


@pytest.mark.parametrize(("named", "names"), [((), ["one", "two"]), (("expensive",), ["one", "two", "three"])])
def test_an_expensive_implementation_runs_only_its_tag_unless_named(named: tuple[str, ...], names: list[str]) -> None:
    [(_, cases)] = make_plan(Selection(), CASES, [fakes.Expensive()], named)
    assert [case.name for case in cases] == names

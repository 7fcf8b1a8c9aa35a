"""Random cases: valid, reproducible, over all options, and evenly over pairs of their values."""

from collections import Counter
from itertools import combinations

from conformance.adapters import registry
from conformance.campaign.draw import Drawer, options_of
from conformance.campaign.levels import SWITCHING, all_levels
from conformance.cases import schema
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.cases.size import estimate

WITHOUT_LEVELS = {"bidirectional", "seed", "threads"}
"""A synonym of another option, the option that has another value in each case, and the one whose values need processes
of their own."""


def drawn(drawer: Drawer, count: int) -> list[Case]:
    return [case for number in range(count) if (case := drawer.draw(number))]


def test_every_option_of_the_schema_has_several_levels() -> None:
    levels = all_levels()
    assert set(levels) == set(schema.options()) - WITHOUT_LEVELS
    assert [name for name, own in levels.items() if len(own) < 2] == []


def test_the_default_of_each_option_is_one_level() -> None:
    defaults = Counter(level.option for own in all_levels().values() for level in own if level.default)
    optional = {name for name in all_levels() if not Case.model_fields[name].is_required()}
    assert defaults == dict.fromkeys(optional, 1)


def test_the_seed_and_the_number_determine_a_case() -> None:
    cases = drawn(Drawer(7), 50)
    assert cases == drawn(Drawer(7), 50)
    assert cases != drawn(Drawer(8), 50)
    earlier, later = Drawer(7), Drawer(7)
    assert [earlier.draw(number) for number in range(50)][40:] == [later.draw(number) for number in range(40, 50)]


def test_different_cases_have_different_names_and_values() -> None:
    cases = drawn(Drawer(0), 200)
    assert len({case.name for case in cases}) == len({case.key for case in cases}) == len(cases)
    assert len({case.drawn_from for case in cases}) == len(cases)


def test_cases_need_only_supported_features_and_little_time() -> None:
    adapter = registry.load("onnxruntime")
    cases = drawn(Drawer(0, adapter.features, max_seconds=0.3), 300)
    assert len(cases) > 290
    assert all(set(features(case)) <= adapter.features for case in cases)
    assert max(estimate(case).seconds for case in cases) <= 0.3


def test_few_rows_run_alone() -> None:
    supported = frozenset({"float32", "gradients", "rows alone"})
    cases = drawn(Drawer(0, supported, options=frozenset({"batching"})), 300)
    assert max(case.num_rows for case in cases if case.batching == "alone") <= 1000
    assert max(case.num_rows for case in cases) > 1000


def test_all_feasible_pairs_occur_when_each_was_wanted_once() -> None:
    drawer = Drawer(0, frozenset({"float32", "float64", "lengths", "gradients"}))
    cases = drawn(drawer, len(drawer.pairs))
    assert len(drawer.seen) == drawer.feasible >= 0.99 * len(drawer.pairs)
    values = [case.model_dump(include={"padding", "initial_state"}) for case in cases]
    assert len({tuple(each.values()) for each in values}) == 3 * 4  # Without ``omitted``.


def test_pairs_that_contradict_each_other_are_not_feasible() -> None:
    pairs = {frozenset(map(str, pair)) for pair in Drawer(0).pairs}
    assert {"lengths: ragged", "mask: left"} in pairs
    assert {"lengths: default", "mask: left"} not in pairs
    assert {"batch: unbatched", "lengths: ragged"} not in pairs
    one = all_levels()
    assert len(pairs) < sum(len(some) * len(others) for some, others in combinations(one.values(), 2))


def test_pairs_that_an_implementation_refuses_are_not_feasible() -> None:
    supported = frozenset({"float32", "gradients", "no bias"})
    drawer = Drawer(0, supported, accepts=lambda case: case.bias)
    drawn(drawer, len(drawer.pairs))
    refused = [drawer.pairs[place] for place in drawer.refused]
    assert refused
    assert all("bias: false" in map(str, pair) for pair in refused)
    assert drawer.feasible == len(drawer.pairs) - len(refused)


def test_a_few_cases_make_a_mistake() -> None:
    cases = drawn(Drawer(0, registry.load("torch.nn.LSTM").features), 1000)
    mistakes = Counter(case.refuses for case in cases if case.refuses)
    assert len(mistakes) > 6
    assert 20 <= mistakes.total() <= 100


def test_some_sizes_are_those_around_which_kernels_change() -> None:
    cases = drawn(Drawer(0, frozenset({"float32", "gradients"})), 600)
    sizes = Counter(case.hidden_size for case in cases)
    assert sum(sizes[size] for size in SWITCHING if size > 9) >= 3
    assert max(case.seq_len * (case.rows or 1) for case in cases) > 4000
    assert sum(max(case.hidden_sizes) <= 9 for case in cases) > 500


def test_only_the_options_of_some_cases_vary() -> None:
    sizes = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2}
    cases = [Case.model_validate(sizes | option) for option in ({"bias": False}, {"direction": "reverse"})]
    options = options_of(cases)
    assert options == {*sizes, "bias", "direction"}
    cases = drawn(Drawer(0, frozenset({"float32", "gradients", "no bias", "bidirectional"}), options=options), 100)
    assert {name for case in cases for name in options_of([case])} == {*options, "seed"}
    assert {case.dtype for case in cases} == {"float32"}

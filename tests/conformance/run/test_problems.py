"""Problems are kept for the next implementation as long as they fit."""

from conformance.cases.casefile import load_all, shipped_cases
from conformance.run.problems import KEPT_ELEMENTS, Problems, elements
from tests.conformance.run.test_runner import make_case


def test_the_oldest_problems_are_dropped_if_they_do_not_fit() -> None:
    first, second = make_case(), make_case(seq_len=6)
    problems = Problems(elements(first) + elements(second))
    kept = [problems.draw(first, 0), problems.draw(second, 0)]
    assert [problems.draw(first, 0), problems.draw(second, 0)] == kept
    third = problems.draw(first, 1)
    assert problems.draw(second, 0) is kept[1]
    assert problems.draw(first, 1) is third
    assert problems.draw(first, 0) is not kept[0]


def test_a_problem_above_the_capacity_is_drawn_each_time_and_leaves_the_others() -> None:
    small, large = make_case(), make_case(seq_len=6)
    problems = Problems(elements(small))
    kept = problems.draw(small, 0)
    assert problems.draw(large, 0) is not problems.draw(large, 0)
    assert problems.draw(small, 0) is kept


def test_a_run_keeps_the_problems_of_all_shipped_cases_with_and_without_gradients() -> None:
    shipped = load_all([shipped_cases()])
    variants = {variant.key: variant for case in shipped for variant in (case, case.forward_only()) if variant}
    assert sum(map(elements, variants.values())) <= KEPT_ELEMENTS

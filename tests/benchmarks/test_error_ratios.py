"""The picture of error ratios shows the percentiles of what was measured."""

import re

import numpy as np

from benchmarks.error_ratios import BINS, cases, draw


def test_the_picture_shows_percentiles_and_a_bar_for_each_bin_with_elements() -> None:
    ratios = np.linspace(0, 0.5, 1001)
    picture = draw({"mylib.LSTM": ratios})
    assert "mylib.LSTM" in picture
    assert "1,001 elements" in picture
    assert "median 0.25 · p99 0.49 · largest 0.50" in picture
    [bars] = re.findall(r'class="bars" d="([^"]+)"', picture)
    assert bars.count("M") == np.count_nonzero(np.histogram(ratios, BINS)[0])


def test_the_cases_are_distinct() -> None:
    keys = [case.key for case in cases()]
    assert len(set(keys)) == len(keys) == 24

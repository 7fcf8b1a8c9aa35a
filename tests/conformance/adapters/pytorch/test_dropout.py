"""The dropout masks of torch.nn.LSTM are recovered exactly."""

from collections.abc import Callable

import numpy as np
import pytest

from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

DROPS = {"num_layers": 3, "direction": "bidirectional", "dropout": 0.5, "mode": "train"}


def test_the_use_of_a_case_does_not_change_its_masks(case: Callable[..., Case]) -> None:
    fresh, reloaded = (TorchLSTM().dropout_masks(make_problem(case(**DROPS, saved=saved))) for saved in (False, True))
    assert all(np.array_equal(fresh[name], reloaded[name]) for name in fresh)


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_recovered_masks_have_the_dropout_probability(case: Callable[..., Case], drop: float, dtype: str) -> None:
    problem = make_problem(case(**DROPS | {"dropout": drop, "dtype": dtype, "seq_len": 40, "batch": 10}))
    masks = TorchLSTM().dropout_masks(problem)
    assert list(masks) == ["l0", "l1"]
    assert not np.array_equal(masks["l0"], masks["l1"])
    for mask in masks.values():
        assert mask.shape == (40, 10, 10)
        assert np.unique(mask).tolist() == [0, 1 / (1 - drop)]
        # 4,000 draws: six standard deviations are less than 0.05.
        assert (mask == 0).mean() == pytest.approx(drop, abs=0.05)

"""Blocks partition tensors, and maps between blocks have adjoints."""

from itertools import chain

import numpy as np
import pytest

from conformance.defects.experiment.blocks import (
    RESULTS,
    Block,
    UnitMap,
    apply,
    apply_adjoint,
    blocks,
    compose,
    describe_block,
    read_kinds,
)
from conformance.defects.experiment.move import unit_moves
from conformance.defects.experiment.moves import moves
from conformance.defects.experiment.probes import PROBES, probe
from conformance.defects.experiment.rule import Rule
from conformance.verdict.problem import make_problem

NAMES = sorted(PROBES)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_cover_each_element_once(name: str) -> None:
    case = probe(name, "float64")
    problem = make_problem(case)
    tensors = {**problem.parameters, "input": problem.input, **(problem.initial_state or {}), **problem.cotangents}
    counts = {key: np.zeros(array.shape, int) for key, array in tensors.items()}
    for block in chain.from_iterable(blocks(kind, case) for kind in [*read_kinds(case), *RESULTS]):
        view = block.select(counts, case)
        assert view.shape == block.width(case)
        view += 1
    assert all((count == 1).all() for count in counts.values())


@pytest.mark.parametrize("kind", ["weight_hh", "c_0", "output", "input", "h_n"])
def test_the_adjoint_of_each_move_keeps_inner_products(kind: str) -> None:
    case = probe("two layers, both directions", "float64")
    problem = make_problem(case)
    random = np.random.default_rng(1)
    x = {**problem.parameters, "input": problem.input, **(problem.initial_state or {}), **problem.cotangents}
    y = {name: random.standard_normal(array.shape) for name, array in x.items()}
    count = 0
    for move in moves(kind, case):
        block_map = Rule("reads", (kind,), move).block_map(case)
        forward, backward = apply(block_map, x, case), apply_adjoint(block_map, y, case)
        one = sum(float((forward[name] * y[name]).sum()) for name in x)
        other = sum(float((x[name] * backward[name]).sum()) for name in x)
        assert one == pytest.approx(other, rel=1e-12), move.words
        count += 1
    assert count > 10


def test_a_memory_order_is_that_of_numpy() -> None:
    case = probe("two layers, both directions", "float64")
    output = make_problem(case).cotangents["output"]
    h_n = make_problem(case).cotangents["h_n"]
    for kind, words, tensor, expected in (
        ("output", "(batch, time) order", output, output.swapaxes(0, 1).reshape(output.shape)),
        ("h_n", "(batch, layer) order", h_n, h_n.swapaxes(0, 1).reshape(h_n.shape)),
        ("h_n", "directions before", h_n, h_n.reshape(2, 2, 3, 4).swapaxes(0, 1).reshape(h_n.shape)),
    ):
        [move] = [each for each in moves(kind, case) if words in each.words]
        changed = apply(Rule("returns", (kind,), move).block_map(case), {kind: tensor}, case)
        np.testing.assert_array_equal(changed[kind], expected)


def test_moves_have_distinct_words() -> None:
    case = probe("two layers, both directions, lengths", "float64")
    for kind in [*read_kinds(case), *RESULTS, "grad.weight_ih"]:
        words = [move.words for move in moves(kind, case)]
        assert len(words) == len(set(words))


def test_a_block_is_described_by_its_coordinates() -> None:
    assert describe_block(Block("c_0", layer=1, direction=1, row=0)) == "c_0, layer 1, reverse, row 0"
    assert describe_block(Block("bias_hh", layer=0, direction=0, gate=2)) == "bias_hh, layer 0, forward, candidate gate"


@pytest.mark.parametrize("words", [("from layer 0", "multiplied by 2"), ("from unit 1", "from the unit before")])
def test_a_composed_map_applies_one_map_after_another(words: tuple[str, str]) -> None:
    case = probe("two layers", "float64")
    tensors = {"c_n": np.random.default_rng(0).normal(size=(2, 3, 4))}
    first, second = (
        Rule("returns", ("c_n",), next(move for move in (*moves("c_n", case), *unit_moves(4)) if text in move.words))
        for text in words
    )
    one_by_one = apply(second.block_map(case), apply(first.block_map(case), tensors, case), case)
    composed = apply(compose(first.block_map(case), second.block_map(case)), tensors, case)
    np.testing.assert_array_equal(composed["c_n"], one_by_one["c_n"])


def test_a_map_of_units_leaves_out_units_that_are_nan() -> None:
    block = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, 4.0]])
    swapped = np.eye(3)[[1, 0, 0]]
    np.testing.assert_array_equal(UnitMap(swapped) * block, block[[1, 0, 0]])
    np.testing.assert_array_equal(UnitMap(np.diag([0.0, 2.0, 1.0])) * block[:, 0], [0.0, 4.0, np.nan])

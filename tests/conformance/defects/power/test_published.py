"""Published suites: the restated checks reproduce the published numbers, and their power is measured correctly."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power.kill_matrix import REQUIRED, Row
from conformance.defects.power.published import suite_power
from conformance.defects.power.published.check import Check, Suite, allclose, ulps
from conformance.defects.power.published.suites import SUITES, onnx_tests
from conformance.defects.solve import solve
from tests.conformance.defects.power.test_power import SMALL

BY_NAME = {suite.name: suite for suite in SUITES}
BY_ID = {defect.id: defect for defect in CATALOGUE}
RIGHT = Defect(id="none", what="without a defect")
# First published numbers of each comparison.
KERAS = [
    [0.6288687, 0.6288687, 0.6288687, 0.86899155],
    [0.35622165, 0.35622165, 0.35622165, 0.74789524],
    [0.57019705, 0.57019705, 0.57019705, 0.8661914],
    [0.54986924, 0.54986924, 0.54986924, 0.86226785],
    [0.3124785, 0.3124785, 0.3124785, 0.3124785, 0.6863672],
    [0.20574439, 0.3558822, 0.64930826, 0.66276],
    [0.13281618, 0.2790356, 0.5839337, 0.5992567],
    [0.11755939, 0.11755939, 0.28556206, 0.28556206],
    [0.0158891, 0.0158891, 0.05552048, 0.05552048, 0.11755939, 0.11755939, 0.11755939, 0.11755939, 0.14185596],
    [0.0158891, 0.0158891, 0.05552048, 0.05552048, 0.11755939, 0.11755939, 0.0, 0.0, 0.14185596],
    [0.15341201, 0.15341201, 0.3844719, 0.3844719],
]
WEBNN: dict[tuple[int, str], list[float]] = {
    (1, "h_n"): [1, 8, 27, 216],
    (1, "c_n"): [1, 4, 9, 36],
    (1, "output"): [1, 8, 27, 216],
    (2, "h_n"): [10.469000816345215, 58.02900695800781, 74.52900695800781, 518.948974609375],
    (2, "c_n"): [5.510000228881836, 20.01000213623047, 19.110000610351564, 75.20999908447266],
    (2, "output"): [10.469000816345215, 58.02900695800781, 74.52900695800781, 518.948974609375, 1, 8, 1, 8],
}


def solution_of(check: Check) -> dict[str, NDArray[np.float64]]:
    cell = check.cell
    return solve(Defect(id="", what="", cell=(lambda _: cell) if cell else None), check.problem, check.dialect)


def test_keras_checks_reproduce_the_published_numbers() -> None:
    checks = BY_NAME["Keras lstm_test"].checks()
    assert len(checks) == len(KERAS)
    for check, expected in zip(checks, KERAS, strict=True):
        got = solution_of(check)[check.compared[0]].ravel()
        np.testing.assert_allclose(got[: len(expected)], expected, rtol=1e-5, atol=1e-7)


def test_webnn_checks_reproduce_the_published_numbers() -> None:
    for check in BY_NAME["WebNN lstm"].checks():
        got = solution_of(check)
        for name in check.compared:
            expected = WEBNN[check.problem.case.seq_len, name]
            np.testing.assert_allclose(got[name].ravel(), expected, rtol=2e-7)


# First published numbers of each comparison.
ENGINES: dict[str, list[dict[str, list[float]]]] = {
    "rten lstm": [
        {"output": [0.016230711713433266, 0.1193385124206543, -0.006369756534695625]},
        {"output": [-0.11026996374130249, -0.1699342578649521, -0.10035926848649979]},
        {"output": [0.16531212627887726, 0.2940082550048828, -0.029355088248848915]},
    ],
    "candle lstm": [{"h_n": [0.9919, 0.1738, -0.1451], "c_n": [5.725, 0.4458, -0.2908]}],
    "burn lstm": [
        {"h_n": [0.0242], "c_n": [0.046]},
        {"output": [0.23764, -0.03442, 0.04414], "c_n": [-0.13593, 0.17125, -0.22395, -0.45425, -0.11206, -0.12908]},
        {"output": [0.08679, -0.08776, -0.00528], "h_n": [-0.04026, 0.07178, -0.10189, -0.15969, -0.05322, -0.08863]},
    ],
    "OpenVINO lstm_cell": [
        {"h_n": [0.81457126, 0.61109227, 0.769522], "c_n": [1.4444952, 0.9635685, 1.2875274]},
        {},  # See below.
        {"h_n": [0.81014400720596313, 0.76665538549423218, 0.82387429475784302], "c_n": [1.6800162792205811]},
    ],
    "TensorFlow Lite lstm_test": [
        {"output": [-0.02973187, 0.1229473, 0.20885126, -0.15358765, -0.03716109, 0.12507336]},
        {"output": [-0.36444446, -0.00352185, 0.12886585, -0.05163646, -0.42312205, -0.01218222]},
    ],
}


@pytest.mark.parametrize("name", ENGINES)
def test_engines_checks_reproduce_the_published_numbers(name: str) -> None:
    if name == "rten lstm":
        pytest.importorskip("torch")
    for check, published in zip(BY_NAME[name].checks(), ENGINES[name], strict=True):
        got = solution_of(check)
        assert set(published) <= set(check.compared)
        for tensor, expected in published.items():
            decimals = 1e-4 if name == "candle lstm" else 5e-5 if name == "burn lstm" else 2e-7
            np.testing.assert_allclose(got[tensor].ravel()[: len(expected)], expected, rtol=3e-7, atol=decimals)


def test_an_openvino_test_accepts_the_results_of_another_gate_order() -> None:
    _, loose, clipped = BY_NAME["OpenVINO lstm_cell"].checks()
    published = [0.81014400720596313, 0.76665538549423218, 0.82509011030197144, 0.6479143500328064]
    published += [0.66586339473724365, 0.74838578701019287]
    unclipped = replace(clipped.problem, case=clipped.problem.case.model_copy(update={"clip": None}))
    np.testing.assert_allclose(solution_of(replace(clipped, problem=unclipped))["h_n"].ravel(), published, rtol=3e-7)
    right = solution_of(loose)["h_n"].ravel()
    largest = float(np.max(np.abs(right - published) / np.maximum(np.abs(right), np.abs(published))))
    assert 0.09 < largest < 0.1


def test_onnx_checks_reproduce_the_published_numbers() -> None:
    pytest.importorskip("onnx")
    tests, checks = onnx_tests(), BY_NAME["ONNX node tests"].checks()
    assert len(checks) == len(tests) == 6
    for test, check in zip(tests, checks, strict=True):
        got = solution_of(check)
        for name, expected in zip(check.compared, test.data_sets[0][1], strict=True):
            np.testing.assert_allclose(got[name].ravel(), expected.ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ("suite", "defect", "detected"),
    [
        ("WebNN lstm", "gates-read-iofg", False),
        ("WebNN lstm", "biases-ignored", True),
        ("WebNN lstm", "tanh-of-tanh", False),
        ("Keras lstm_test", "gates-read-iofg", True),
        ("Keras lstm_test", "gates-read-ifog", False),
        ("Keras lstm_test", "grad-ignores-h_n", False),
        ("candle lstm", "gates-read-iofg", True),
        ("candle lstm", "output-of-first-step-never-written", False),
        ("burn lstm", "sigmoid-off-by-1e-04", False),
        ("TensorFlow Lite lstm_test", "forget-gate-is-input-gate", True),
        ("torch against Keras, sum(output)", "gates-read-ifog", True),
        ("torch against Keras, sum(output)", "grad-ignores-h_n", False),
        ("torch against Keras, sum(output)", "grad-parameters-doubled", True),
        ("torch against Keras, sum(output)", "grad-h_0-zero", False),
    ],
)
def test_a_suite_detects_only_some_defects(suite: str, defect: str, detected: bool) -> None:
    checks, within = BY_NAME[suite].checks(), BY_NAME[suite].within
    assert any(suite_power.detects(check, within, BY_ID[defect]) for check in checks) == detected


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite.name != "ONNX node tests"], ids=lambda s: s.name)
def test_a_suite_passes_a_correct_lstm(suite: Suite) -> None:
    if suite.name == "rten lstm":
        pytest.importorskip("torch")
    assert not any(suite_power.detects(check, suite.within, RIGHT) for check in suite.checks())


def test_a_suite_that_is_not_installed_is_reported_as_absent() -> None:
    def absent() -> list[Check]:
        raise ImportError(name="onnx")

    (measured,) = suite_power.measure_published([Suite("theirs", "none", allclose(0, 0), absent)])
    assert measured.absent == "needs onnx"
    assert measured.all.detected == 0


def test_kinds_of_defects_are_counted_separately() -> None:
    measured = suite_power.measure_cases(
        [Row(SMALL, {"gates-read-iofg": 9.0, "biases-ignored": 9.0, "grad-ignores-h_n": 9.0})]
    )
    assert str(measured.gates) == "1/23"
    assert (measured.forward.detected, measured.gradients.detected) == (1, 1)
    assert measured.all == (3, len(REQUIRED))


def test_tolerances_follow_their_definitions() -> None:
    assert allclose(1e-3, 1e-7)(np.array([-2.0])) == pytest.approx(2e-3 + 1e-7)
    assert ulps(2)(np.array([1.0])) == 2 * 2.0**-23

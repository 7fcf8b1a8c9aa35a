"""Activations are recognized by their values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue.precision import round_to_bits
from conformance.defects.experiment.curves import describe, recognize
from conformance.defects.experiment.drive import arguments
from reference import PROFILES
from reference.activations import sigmoid, tanh

Z = np.asarray(arguments(0, 256), np.float32).astype(np.float64)
NODES = np.linspace(-8, 8, 65)


def σ(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


CURVES: list[tuple[Callable[[Any], Any], Any, str]] = [
    (σ, sigmoid, "sigmoid"),
    (lambda z: σ(np.clip(z, -8, 8)), sigmoid, "sigmoid that stays constant beyond ±8"),
    (lambda z: np.tanh(np.clip(z, -2.5, 2.5)), tanh, "tanh that stays constant beyond ±2.5"),
    (lambda z: np.where(np.abs(z) < 6, σ(z), z > 0), sigmoid, "sigmoid, but 0 and 1 beyond ±6"),
    (lambda z: σ(z + 1), sigmoid, "sigmoid(z + 1)"),
    (lambda z: np.tanh(2 * z - 0.5), tanh, "tanh(2 z - 0.5)"),
    (lambda z: 0.9 * σ(z) + 0.05, sigmoid, "0.9 sigmoid(z) + 0.05"),
    (lambda z: np.clip(0.2 * z + 0.5, 0, 1), sigmoid, "a hard sigmoid, 0.2 z + 0.5 between 0 and 1"),
    (lambda z: np.clip(z / 6 + 0.5, 0, 1), sigmoid, "a hard sigmoid, 1/6 z + 0.5 between 0 and 1"),
    (lambda z: np.clip(z, -1, 1), tanh, "z between -1 and 1"),
    (lambda z: np.interp(z, NODES, σ(NODES)), sigmoid, "a table of sigmoid with 64 pieces from -8 to 8, interpolated"),
    (
        lambda z: np.tanh(np.clip(np.round(z * 8) / 8, -4, 4)),
        tanh,
        "a table of tanh with 64 pieces from -4 to 4, the nearest value",
    ),
    (lambda z: z / (1 + np.abs(z)), tanh, "softsign"),
    (np.tanh, sigmoid, "tanh"),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("curve", "right", "name"), CURVES, ids=[name for _, _, name in CURVES])
def test_curves_are_recognized(curve: Callable[[Any], Any], right: Any, name: str, dtype: str) -> None:
    y = np.asarray(curve(Z), dtype).astype(np.float64)
    found = recognize(Z, [y], right, PROFILES[dtype].u)
    assert found is not None
    assert found.name == name
    inner = np.abs(Z) < 1.9
    if "nearest" not in name:
        numeric = (found.value(Z + 1e-6) - found.value(Z - 1e-6)) / 2e-6
        np.testing.assert_allclose(found.slope(found.value(Z))[inner], numeric[inner], atol=0.02)


@pytest.mark.parametrize("bits", [8, 24])
@pytest.mark.parametrize(
    ("curve", "name"),
    [
        (σ, "sigmoid"),
        (lambda z: σ(1.1 * z - 0.5), "sigmoid(1.1 z - 0.5)"),
        (lambda z: np.clip(z / 6 + 0.5, 0, 1), "a hard sigmoid, 1/6 z + 0.5 between 0 and 1"),
    ],
)
def test_curves_are_recognized_if_their_values_are_rounded(curve: Callable[[Any], Any], name: str, bits: int) -> None:
    y = round_to_bits(curve(Z), bits)
    found = recognize(Z, [y], sigmoid, 2.0**-53)
    assert found is not None
    assert found.name == name
    assert recognize(Z, [round_to_bits(y, bits - 1)], sigmoid, 2.0**-53) is None


def test_the_right_activation_is_preferred_in_every_option() -> None:
    assert recognize(Z, [0.9 * np.tanh(Z), np.tanh(Z)], tanh, 2.0**-53) is tanh


def test_an_unknown_curve_is_described() -> None:
    y = σ(Z) + 0.01 * np.sin(5 * Z)
    assert recognize(Z, [y, y * np.nan], sigmoid, 2.0**-53) is None
    assert describe(Z, y, sigmoid).startswith("0.5 at 0 with slope 0.3, from 0.003054")

"""Recognizes activation functions by their values at some points."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.defects.catalogue.precision import BFLOAT16, HALF, SINGLE, round_to_bits
from reference.activations import ACTIVATIONS, Activation, between, sigmoid, tanh

Floats = NDArray[np.float64]

_DENOMINATORS = (1, 2, 3, 4, 5, 6, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 256, 1000, 10_000)
"""Denominators of the parameters of curves that are tried."""
_PIECES = (
    *(7, 8, 10, 15, 16, 20, 24, 31, 32, 40, 48, 50, 63, 64, 80, 96, 100, 127, 128, 200, 255, 256, 400, 500, 511, 512),
    *(1000, 1023, 1024, 2000, 2047, 2048, 4095, 4096),
)
"""Numbers of pieces of tables that are tried."""
_RANGES = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0, 20.0)
"""Largest arguments of tables that are tried."""
_ROUNDINGS = 200.0
"""Tolerance of a value, in roundings of its dtype."""
_ROUNDINGS_OF_PARAMETERS = 2000.0
"""Tolerance of a parameter of a curve, in roundings of the dtype."""


def recognize(z: Floats, options: Sequence[Floats], right: Activation, u: float) -> Activation | None:
    """Returns the activation whose values at z are one of the options; None if it is not recognized.

    The values may be rounded to a narrower format. Only the activation is returned.

    Args:
        z: arguments.
        options: possible values, the most likely ones first.
        right: the activation that is expected, ``sigmoid`` or ``tanh``.
        u: unit roundoff of the values.
    """
    finite = [(y, _format_of(y, u)) for y in options if np.isfinite(y).all()]

    def only_right(y: Floats, bits: int | None) -> Iterable[Activation]:
        del y, bits
        return [right]

    def others(y: Floats, bits: int | None) -> Iterable[Activation]:
        fit = _ROUNDINGS_OF_PARAMETERS * u if bits is None else 2.0**-bits / 16
        return _candidates(z, y, right, u, fit)

    for search, (y, bits) in product((only_right, others), finite):
        tolerance = _ROUNDINGS * u * np.maximum(1.0, np.abs(y))
        with np.errstate(all="ignore"):
            for candidate in search(y, bits):
                values = candidate.value(z) if bits is None else round_to_bits(candidate.value(z), bits)
                if (np.abs(values - y) <= tolerance).all():
                    return candidate
    return None


def _format_of(y: Floats, u: float) -> int | None:
    """Returns the significant bits of the narrowest format that holds all values; None if only their own dtype does."""
    formats = (bits for bits in (BFLOAT16, HALF, SINGLE) if 2.0**-bits > u)
    return next((bits for bits in formats if np.array_equal(y, round_to_bits(y, bits))), None)


def describe(z: Floats, y: Floats, right: Activation) -> str:
    """Describes an activation that is not recognized: its value and slope at 0, and its limits."""
    order = np.argsort(z)
    z, y = z[order], y[order]
    middle = int(np.searchsorted(z, 0.0))
    low, high = middle - 1, min(middle, len(z) - 1)
    slope = (y[high] - y[low]) / (z[high] - z[low])
    worst = int(np.argmax(np.abs(y - right.value(z))))
    return (
        f"{np.interp(0.0, z, y):.4g} at 0 with slope {slope:.3g}, from {y[0]:.6g} at {z[0]:.3g} to {y[-1]:.6g} at "
        f"{z[-1]:.3g}; {y[worst]:.6g} instead of {right.value(z)[worst]:.6g} at {z[worst]:.4g}"
    )


def _candidates(z: Floats, y: Floats, right: Activation, u: float, fit: float) -> Iterator[Activation]:
    """Yields activations with parameters that fit the values within an error, the simplest ones first."""
    smooth = [each for each in ACTIVATIONS.values() if not each.name.startswith("hard")]
    yield from (each for each in (*smooth, *_approximations(right)) if each is not right)
    yield from _saturating(z, y, right, fit)
    yield from _limited(z, y, right, u)
    yield from _linear_arguments(z, y, right, fit)
    yield from _linear_values(z, y, right, fit)
    yield from _hard(z, y, fit)
    yield from _tables(right)


def _saturating(z: Floats, y: Floats, right: Activation, fit: float) -> Iterator[Activation]:
    """Yields the right activation of an argument with a bound."""
    inverse = _INVERSES[right.name]
    for value in (-inverse(y.min()), inverse(y.max())):
        for bound in _simple(value, max(fit, 1e-3)):
            if 0 < bound < np.abs(z).max():
                yield _saturated(right, bound)


def _saturated(right: Activation, bound: Fraction) -> Activation:
    end = float(bound)
    low, high = right.value(np.array([-end, end]))
    return replace(
        right,
        name=f"{right.name} that stays constant beyond ±{_text(bound)}",
        value=lambda z: right.value(np.clip(z, -end, end)),
        slope=lambda y: right.slope(y) * between(y, low, high),
    )


def _limited(z: Floats, y: Floats, right: Activation, u: float) -> Iterator[Activation]:
    """Yields the right activation with its limits beyond a bound."""
    low = 0.0 if right is sigmoid else -1.0
    values, limits, tolerance = right.value(z), np.where(z > 0, 1.0, low), _ROUNDINGS * u
    distinct = np.abs(values - limits) > 10 * tolerance
    inside, outside = distinct & (np.abs(y - values) <= tolerance), distinct & (np.abs(y - limits) <= tolerance)
    if not inside.any() or not outside.any():
        return
    near, far = np.abs(z[inside]).max(), np.abs(z[outside]).min()
    bound = next(_simple((near + far) / 2, (far - near) / 2), None)
    if bound is not None:
        yield replace(
            right,
            name=f"{right.name}, but {low:g} and 1 beyond ±{_text(bound)}",
            value=lambda z: np.where(np.abs(z) < float(bound), right.value(z), np.where(z > 0, 1.0, low)),
        )


def _linear_arguments(z: Floats, y: Floats, right: Activation, fit: float) -> Iterator[Activation]:
    """Yields the right activation of a·z + b."""
    usable = (np.abs(right.slope(y)) > 0.02) & np.isfinite(y)
    if usable.sum() < 4:
        return
    inverse, slopes = _INVERSES[right.name](y[usable]), right.slope(y[usable])
    factor, constant = np.polyfit(z[usable], inverse, 1, w=slopes)
    for a, b in product(_simple(factor, fit * 10), _simple(constant, fit * 10)):
        if a != 1 or b != 0:
            yield _of_linear_argument(right, a, b)


def _of_linear_argument(right: Activation, a: Fraction, b: Fraction) -> Activation:
    return replace(
        right,
        name=f"{right.name}({_linear(a, b)})",
        value=lambda z: right.value(float(a) * z + float(b)),
        slope=lambda y: float(a) * right.slope(y),
    )


def _linear_values(z: Floats, y: Floats, right: Activation, fit: float) -> Iterator[Activation]:
    """Yields a multiple of the right activation, plus a constant."""
    factor, constant = np.polyfit(right.value(z), y, 1)
    for a, b in product(_simple(factor, fit), _simple(constant, fit)):
        if a and (a != 1 or b != 0):
            yield _linear_value(right, a, b)


def _linear_value(right: Activation, a: Fraction, b: Fraction) -> Activation:
    return replace(
        right,
        name=_linear(a, b, f"{right.name}(z)"),
        value=lambda z: float(a) * right.value(z) + float(b),
        slope=lambda y: float(a) * right.slope((y - float(b)) / float(a)),
    )


def _hard(z: Floats, y: Floats, fit: float) -> Iterator[Activation]:
    """Yields a linear function between two limits."""
    low, high = y.min(), y.max()
    inner = (y > low + 1e-3) & (y < high - 1e-3)
    if inner.sum() < 3:
        return
    slope, value = np.polyfit(z[inner], y[inner], 1)
    for a, b in product(_simple(slope, fit), _simple(value, fit)):
        if a:
            yield _line(a, b, low, high)


def _line(a: Fraction, b: Fraction, low: float, high: float) -> Activation:
    kind = "a hard sigmoid, " if (low, high) == (0.0, 1.0) else ""
    return Activation(
        f"{kind}{_linear(a, b)} between {low:.6g} and {high:.6g}",
        lambda z: np.clip(float(a) * z + float(b), low, high),
        lambda y: float(a) * between(y, low, high),
    )


def _tables(right: Activation) -> Iterator[Activation]:
    """Yields tables of the right activation, with linear interpolation and with steps."""
    for end, count in product(_RANGES, _PIECES):
        yield _interpolated_table(right, end, count)
        yield _table_of_steps(right, end, count, "the nearest value", 0.5)
        yield _table_of_steps(right, end, count, "the value below", 0.0)


def _interpolated_table(right: Activation, end: float, count: int) -> Activation:
    nodes = np.linspace(-end, end, count + 1)
    values = right.value(nodes)
    slopes = np.diff(values) / np.diff(nodes)
    return Activation(
        f"a table of {right.name} with {count} pieces from -{end:g} to {end:g}, interpolated",
        lambda z: np.interp(z, nodes, values),
        lambda y: _slope_of_table(y, values, slopes),
    )


def _table_of_steps(right: Activation, end: float, count: int, how: str, shift: float) -> Activation:
    values = right.value(np.linspace(-end, end, count + 1))
    return Activation(
        f"a table of {right.name} with {count} pieces from -{end:g} to {end:g}, {how}",
        lambda z: values[np.clip(np.floor((z + end) * (count / (2 * end)) + shift), 0, count).astype(int)],
        np.zeros_like,
    )


def _slope_of_table(y: Any, values: Floats, slopes: Floats) -> Any:
    piece = np.clip(np.searchsorted(values, y, side="right") - 1, 0, len(slopes) - 1)
    return slopes[piece] * between(y, values[0], values[-1])


def _approximations(right: Activation) -> Iterator[Activation]:
    """Yields well-known approximations."""

    def rational(z: Any) -> Any:
        x = np.clip(z, -3.0, 3.0)
        return x * (27.0 + x * x) / (27.0 + 9.0 * x * x)

    def cubic_slope(y: Any) -> Any:
        # The derivative as a function of the argument, which a table inverts.
        x = np.linspace(-3.0, 3.0, 200_001)
        return np.interp(y, rational(x), np.gradient(rational(x), x)) * between(y, -1.0, 1.0)

    if right is tanh:
        yield Activation("z (27 + z²) / (27 + 9 z²) between -1 and 1", rational, cubic_slope)
        yield Activation("z between -1 and 1", lambda z: np.clip(z, -1.0, 1.0), lambda y: between(y, -1.0, 1.0))
    else:
        softsign = ACTIVATIONS["softsign"]
        yield Activation(
            "(1 + z / (1 + |z|)) / 2",
            lambda z: 0.5 + 0.5 * softsign.value(z),
            lambda y: 0.5 * softsign.slope(2.0 * y - 1.0),
        )
        yield Activation(
            "(1 + t(z / 2)) / 2 with t(z) = z (27 + z²) / (27 + 9 z²)",
            lambda z: 0.5 + 0.5 * rational(z / 2),
            lambda y: 0.25 * cubic_slope(2.0 * y - 1.0),
        )


def _logit(y: Any) -> Any:
    return np.log(y) - np.log1p(-y)


_INVERSES: dict[str, Callable[[Any], Any]] = {"sigmoid": _logit, "tanh": np.arctanh}


def _simple(value: float, error: float) -> Iterator[Fraction]:
    """Yields fractions within an error of a value, those with the smallest denominators first."""
    if not np.isfinite(value):
        return
    nearest = (Fraction(round(float(value) * denominator), denominator) for denominator in _DENOMINATORS)
    yield from dict.fromkeys(each for each in nearest if abs(float(each) - value) <= error)


def _text(number: Fraction) -> str:
    """Formats a fraction as a decimal if this is exact, else as a quotient."""
    decimal = f"{float(number):.6g}"
    return decimal if Fraction(decimal) == number else f"{number.numerator}/{number.denominator}"


def _linear(a: Fraction, b: Fraction, variable: str = "z") -> str:
    """Formats a·z + b."""
    product = variable if a == 1 else f"-{variable}" if a == -1 else f"{_text(a)} {variable}"
    return f"{product} {'+' if b > 0 else '-'} {_text(abs(b))}" if b else product

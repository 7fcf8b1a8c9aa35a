"""Numerics profiles: how an implementation rounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Constants of the error analysis. Every u is a unit roundoff: half a unit in the last place of 1.

    Attributes:
        name: name of the profile.
        u: unit roundoff of an elementwise operation.
        u_acc: unit roundoff of each addition in a matrix product.
        u_op: unit roundoff of the operands of a matrix product; 0 if they are not rounded, 2^-11 for TF32.
        k_r: relative error of an activation in units of u. An activation f errs by at most (k_r · |f| + k_a) · u.
        k_a: absolute error of an activation in units of u.
        n_store: number of times that the result of a matrix product is rounded to storage precision.
        u_accw: additional unit roundoff of each addition over time, if weight gradients accumulate in storage
            precision; else 0.
        floor: absolute error of a result that underflows.
        u_data: half a quantization step of the data, the left operand of a matrix product, relative to the range of its
            elements and 0; 0 if it is not quantized.
        weight_steps: number of quantization steps from 0 to the largest absolute value of a matrix of weights; 0 if
            weights are not quantized. See ``reference.quantization``.
        per_channel: whether each row of a matrix of weights has a quantization step of its own.
        z: number of standard deviations that a correct run may deviate.
    """

    name: str
    u: float
    u_acc: float
    u_op: float = 0.0
    k_r: float = 6.0
    k_a: float = 3.0
    n_store: int = 1
    u_accw: float = 0.0
    floor: float = 0.0
    u_data: float = 0.0
    weight_steps: float = 0.0
    per_channel: bool = False
    z: float = 5.0

    @property
    def unit(self) -> float:
        """Largest relative error of an operation or operand. Errors are analyzed in units of it."""
        return max(self.u, self.u_op, self.u_data)


def _half(name: str, u: float, floor: float) -> Profile:
    """Returns the profile of a 16-bit dtype: rounded after every operation, matrix products accumulated in float32."""
    return Profile(name, u=u, u_acc=2.0**-24, k_r=2.0, k_a=1.0, n_store=4, u_accw=u, floor=floor)


PROFILES: dict[str, Profile] = {
    "float64": Profile("float64", u=2.0**-53, u_acc=2.0**-53, floor=2.0**-1022),
    "float32": Profile("float32", u=2.0**-24, u_acc=2.0**-24, floor=2.0**-126),
    "tf32": Profile("tf32", u=2.0**-24, u_acc=2.0**-23, u_op=2.0**-11, floor=2.0**-126),
    "int8-dynamic": Profile(
        "int8-dynamic", u=2.0**-24, u_acc=2.0**-24, floor=2.0**-126, u_data=1 / 510, weight_steps=127.0, z=6.0
    ),
    "float16": _half("float16", u=2.0**-11, floor=2.0**-25),
    "bfloat16": _half("bfloat16", u=2.0**-8, floor=2.0**-126),
}
"""Generic profiles: one for each dtype, and those that apply only to adapters that declare them.

``tf32`` rounds the operands of matrix products. ``int8-dynamic`` quantizes them to 8 bits and multiplies them exactly.
Weights have 127 steps of either sign, data has 255 steps from its smallest to its largest element.
"""

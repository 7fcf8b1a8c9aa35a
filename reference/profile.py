"""Numerics profiles: how an implementation rounds, in the constants that the error analysis needs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How results are rounded. All u are unit roundoffs (half a unit in the last place of 1).

    Attributes:
        name: the profile's name.
        u: rounding of an elementwise operation's result.
        u_acc: rounding of each addition inside a matrix product.
        u_op: rounding of a matrix product's operands (0: used as they are; 2^-11 for TF32).
        k_r: an activation f errs by at most (k_r · |f| + k_a) · u: the relative part.
        k_a: the absolute part.
        n_store: how often a matrix product's result is rounded to storage precision.
        u_accw: extra rounding of each addition where weight gradients accumulate over time in storage precision.
        floor: absolute error of a result that underflows.
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


def _half(name: str, u: float, floor: float) -> Profile:
    """16 bits: rounded after every operation, accumulated in float32."""
    return Profile(name, u=u, u_acc=2.0**-24, k_r=2.0, k_a=1.0, n_store=4, u_accw=u, floor=floor)


PROFILES: dict[str, Profile] = {
    "float64": Profile("float64", u=2.0**-53, u_acc=2.0**-53, floor=2.0**-1022),
    "float32": Profile("float32", u=2.0**-24, u_acc=2.0**-24, floor=2.0**-126),
    "tf32": Profile("tf32", u=2.0**-24, u_acc=2.0**-23, u_op=2.0**-11, floor=2.0**-126),
    "float16": _half("float16", u=2.0**-11, floor=2.0**-25),
    "bfloat16": _half("bfloat16", u=2.0**-8, floor=2.0**-126),
}
"""The generic profile of each dtype; ``tf32`` must be declared by the adapter that uses it."""

"""Arguments so close to a kink that rounding decides on which side of it they are.

A piecewise activation or a clip has kinks, at which a derivative jumps. If an argument is closer to a kink than its
rounding error, correct implementations can find it on either side, and their gradients then differ by far more than
rounding errors. A run on ``FirstOrder`` arrays lists these arguments. Another run puts each of them on a given side.
Its results are correct if rounding decides for these sides.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class NearKink(NamedTuple):
    """An argument that is closer to a kink than its rounding error, and on one side of it.

    Attributes:
        evaluation: number of the evaluation of a piecewise function, in the order of computation.
        position: row and unit.
        above: whether the argument is greater than the kink.
        function: name of the activation, or ``clip``.
        distance: distance from the kink, divided by the largest rounding error.
    """

    evaluation: int
    position: tuple[int, ...]
    above: bool
    function: str
    distance: float


class Kinks:
    """Lists the arguments near kinks in one run, and puts some of them on given sides.

    Attributes:
        near: arguments near a kink so far, in the order of computation.
    """

    def __init__(self, sides: Iterable[NearKink] = ()) -> None:
        self.near: list[NearKink] = []
        self._sides: defaultdict[int, list[NearKink]] = defaultdict(list)
        self._evaluations = 0
        for argument in sides:
            self._sides[argument.evaluation].append(argument)

    def place(self, function: str, arguments: Array, reach: Array, kinks: Sequence[float]) -> Array:
        """Returns the arguments of an evaluation. Those on the wrong side of their nearest kink are mirrored at it.

        Args:
            function: name of the piecewise function.
            arguments: its arguments (B, H).
            reach: largest rounding error of each argument (B, H).
            kinks: arguments at which a derivative of the function jumps.
        """
        evaluation, self._evaluations = self._evaluations, self._evaluations + 1
        distances = np.stack([arguments - kink for kink in kinks])
        distance = np.take_along_axis(distances, np.abs(distances).argmin(0)[None], axis=0)[0]
        for index in np.argwhere((np.abs(distance) < reach) & (distance != 0)):
            position = tuple(map(int, index))
            signed = float(distance[position] / reach[position])
            self.near.append(NearKink(evaluation, position, signed > 0, function, abs(signed)))
        arguments = arguments.copy()
        for argument in self._sides[evaluation]:
            if (distance[argument.position] > 0) != argument.above:
                arguments[argument.position] -= 2 * distance[argument.position]
        return arguments

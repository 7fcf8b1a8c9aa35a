"""The contract between the suite and one implementation."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import Layout
from conformance.cases.case import Case
from conformance.cases.features import features, lack
from conformance.verdict.problem import Problem, Tensors
from reference import PROFILES, Dialect, Profile

Solution = Mapping[str, NDArray[np.floating]]
"""Named tensors: ``output``, ``h_n``, ``c_n``, ``grad.input``, ``grad.h_0``, ``grad.weight_ih_l0`` …"""


def as_arrays(solution: object) -> dict[str, NDArray[Any]]:
    """What ``solve`` returned, each value as an array.

    Raises:
        TypeError: it is no mapping.
    """
    if not isinstance(solution, Mapping):
        raise TypeError(f"solve returned a {type(solution).__name__}, not a mapping of names to arrays")
    return {name: np.asarray(value) for name, value in solution.items()}


HALF = frozenset({"float16", "bfloat16"})
"""Dtypes that many frameworks have on some processors only, so that an adapter may ask by trying."""


class Adapter(ABC):
    """Drives one implementation.

    It drives the real thing: an option that the implementation lacks is unsupported, never emulated, and
    nothing is computed here that the implementation should compute. Frameworks are imported when first used.
    """

    name: str
    """How the implementation is named everywhere, such as ``torch.nn.LSTM``."""
    requires: tuple[str, ...] = ()
    """Top-level modules that must be installed."""
    install: str = ""
    """The command that installs them."""
    default_tag: str = ""
    """For a dear implementation: unless it is asked for by name, it runs only the cases with this tag."""
    own_process: bool = False
    """Whether the implementation cannot share a process with others: it then always gets one of its own."""
    environment: Mapping[str, str] = {}
    """Environment variables that its process must start with; it then always gets one of its own."""

    packages: Mapping[str, str] = {}
    """Versions of the required packages, where the implementation runs in an environment of its own."""

    features: ClassVar[Set[str]] = frozenset()
    """Those of ``conformance.cases.features.FEATURES`` that it supports, its dtypes among them."""
    lacks: ClassVar[Mapping[str, str]] = {}
    """Why it lacks a feature, in its users' words, where there is more to say than ``features.LACKS`` does."""
    layout: ClassVar[Layout | None] = None
    """How it stores its weights."""

    def __str__(self) -> str:
        return self.name

    def supports(self, case: Case) -> str | None:
        """Why the implementation cannot run a case, in its users' words; None when it can.

        A case with a feature that is not among ``features`` is refused. An adapter that has more conditions adds them:
        ``return super().supports(case) or …``.
        """
        for feature in features(case):
            if feature not in self.features:
                return self.lacks.get(feature) or f"{self.name} {lack(feature)}"
        return None

    def runs_by_default(self, case: Case, named: Collection[str] = ()) -> bool:
        """Whether a run includes this case: an expensive implementation runs its default tag only, unless named."""
        return not self.default_tag or self.name in named or self.default_tag in case.tags

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Runs the implementation forward and, where the case compares gradients, backward.

        Returns every tensor of ``problem.expected_shapes()``, in any floating-point dtype that holds the
        implementation's values exactly. The gradients are those of the sum of all outputs, each times its
        cotangent. Raises whatever the implementation raises.
        """

    def describe(self) -> dict[str, str]:
        """What was run: versions, device, threads, kernel path. Recorded in the results' header."""
        return {}

    def dialect(self, case: Case) -> Dialect:
        """The documented conventions that the implementation follows on a case."""
        del case
        return Dialect()

    def profile(self, case: Case) -> Profile:
        """How the implementation rounds: its dtype's generic profile, unless it declares less precision."""
        return PROFILES[case.dtype]

    def dropout_masks(self, problem: Problem) -> Tensors:
        """The masks that ``solve`` will drop by: the problem's own, unless the implementation draws its own."""
        return problem.dropout_masks

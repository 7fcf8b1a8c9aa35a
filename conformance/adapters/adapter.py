"""The contract between the suite and one implementation."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import Layout
from conformance.cases.case import Case
from conformance.cases.features import features, lack
from conformance.documentation import page
from conformance.verdict.problem import Problem, Tensors
from reference import PROFILES, Dialect, Profile

Solution = Mapping[str, NDArray[np.floating]]
"""Named tensors: ``output``, ``h_n``, ``c_n``, ``grad.input``, ``grad.h_0``, ``grad.weight_ih_l0`` …"""


def as_arrays(solution: object) -> dict[str, NDArray[Any]]:
    """Converts the values of a solution to arrays.

    Raises:
        TypeError: the solution is not a mapping.
    """
    if not isinstance(solution, Mapping):
        raise TypeError(f"solve returned a {type(solution).__name__}, expected a mapping of names to arrays")
    return {name: np.asarray(value) for name, value in solution.items()}


HALF = frozenset({"float16", "bfloat16"})
"""Dtypes that many frameworks support only on some processors. An adapter can test this by running a small layer."""


ELSEWHERE = f"see {page('other-environments.md')}"
"""Value of ``Adapter.install`` for packages that need an environment of their own."""


ONLY_IF_NAMED = "named"
"""Default tag that no case has: the implementation runs only if it is named with ``-i``."""


class Adapter(ABC):
    """Base class of adapters. An adapter drives one implementation.

    It must run the implementation itself: an option that the implementation lacks is unsupported, not emulated, and the
    adapter computes nothing that the implementation should compute. Frameworks are imported when first used.
    """

    name: str
    """Name of the implementation, such as ``torch.nn.LSTM``."""
    requires: tuple[str, ...] = ()
    """Top-level modules that must be installed."""
    install: str = ""
    """Command that installs the required modules, or ``ELSEWHERE``."""
    repeats_exactly: bool = False
    """Whether the implementation's documentation promises the same bytes if the same call is repeated."""
    default_tag: str = ""
    """Tag of the cases that an expensive implementation runs, unless it is named with ``-i``; empty for all cases."""
    own_process: bool = False
    """Whether the implementation cannot share a process with others. It then always runs in its own."""
    environment: Mapping[str, str] = {}
    """Environment variables to set before the process starts. The implementation then always runs in its own."""
    packages: Mapping[str, str] = {}
    """Versions of the required packages, if the implementation runs in another Python environment."""

    features: ClassVar[Set[str]] = frozenset()
    """Supported features, dtypes included, as named in ``conformance.cases.features.FEATURES``."""
    lacks: ClassVar[Mapping[str, str]] = {}
    """Reasons why a feature is unsupported. Features without an entry get the text of ``features.LACKS``."""
    layout: ClassVar[Layout | None] = None
    """Layout of the implementation's weights."""

    def __str__(self) -> str:
        return self.name

    def supports(self, case: Case) -> str | None:
        """Returns the reason, in a user's terms, why the implementation cannot run a case; None if it can.

        By default, refuses a case with a feature that is not in ``features``. An adapter with further conditions
        extends this method: ``return super().supports(case) or …``.
        """
        for feature in features(case):
            if feature not in self.features:
                return self.lacks.get(feature) or f"{self.name} {lack(feature)}"
        return None

    def runs_by_default(self, case: Case, named: Collection[str] = ()) -> bool:
        """Returns whether a run includes a case: any case, or only those with ``default_tag`` if it is not named.

        Args:
            case: the case.
            named: names of the implementations that the user named.
        """
        return not self.default_tag or self.name in named or self.default_tag in case.tags

    @abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Runs the implementation forward and, if the case compares gradients, backward.

        The gradients are those of the sum of all outputs, each multiplied by its cotangent. Errors of the
        implementation are not caught.

        Returns:
            Every tensor of ``problem.expected_shapes()``, in any floating-point dtype that represents the
            implementation's values exactly.
        """

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads and kernels, for the header of the results."""
        return {}

    def dialect(self, case: Case) -> Dialect:
        """Returns the documented conventions that the implementation follows on a case."""
        del case
        return Dialect()

    def profile(self, case: Case) -> Profile:
        """Returns the implementation's rounding profile; by default, the profile of the case's dtype."""
        return PROFILES[case.dtype]

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the dropout masks that ``solve`` applies; by default, the problem's.

        If the implementation draws its own masks, the adapter returns those.
        """
        return problem.dropout_masks

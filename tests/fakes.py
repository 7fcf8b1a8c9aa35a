"""Implementations that go wrong in one way each, to test the tester with. They import no framework."""

import itertools
import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, round_to
from reference import PROFILES, Dialect


class Faithful(Adapter):
    """The reference itself, rounded."""

    name = "faithful"

    def supports(self, case: Case) -> str | None:
        del case
        return None

    def describe(self) -> dict[str, str]:
        return {"made of": "the reference"}

    def solve(self, problem: Problem) -> Solution:
        return {name: round_to(problem.case.dtype, array) for name, array in self.exact(problem).items()}

    def exact(self, problem: Problem) -> dict[str, Any]:
        return dict(Oracle(None).expect(problem, PROFILES[problem.case.dtype], Dialect()).values)


class Declares(Faithful):
    """Says what it supports as data."""

    name = "declares"
    features = frozenset({"float32", "gradients", "bidirectional"})
    lacks: ClassVar[dict[str, str]] = {"lengths": "declares wants full batches"}

    def supports(self, case: Case) -> str | None:
        return Adapter.supports(self, case)


class ForwardOnly(Faithful):
    """Has no gradients."""

    name = "forward-only"

    def supports(self, case: Case) -> str | None:
        return "forward-only has no gradients" if "gradients" in case.check else None


class Alone(Faithful):
    """Cannot share a process."""

    name = "alone"
    own_process = True

    def describe(self) -> dict[str, str]:
        return {"process": str(os.getpid())}


class Backend(Faithful):
    """Reads a variable when its process starts."""

    name = "backend"
    environment: Mapping[str, str] = {"A_FAKE_BACKEND": "seven"}

    def describe(self) -> dict[str, str]:
        return {"back end": os.environ.get("A_FAKE_BACKEND", "none")}


class Wrong(Faithful):
    name = "wrong"

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        return solution | {"h_n": solution["h_n"] * np.float32(1.5), "grad.input": -solution["grad.input"]}


class BatchFirstStates(Faithful):
    name = "batch-first-states"

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        return solution | {"h_n": np.moveaxis(solution["h_n"], 1, 0)}


class NotANumber(Faithful):
    name = "nan"

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        return solution | {"output": np.full_like(solution["output"], np.nan)}


class Incomplete(Faithful):
    name = "incomplete"

    def solve(self, problem: Problem) -> Solution:
        return {name: array for name, array in super().solve(problem).items() if name != "c_n"}


class Zeros(Faithful):
    """Does without the reference."""

    name = "zeros"

    def solve(self, problem: Problem) -> Solution:
        return {name: np.zeros(shape) for name, shape in problem.expected_shapes().items()}


class Nothing(Faithful):
    name = "nothing"

    def solve(self, problem: Problem) -> Solution:
        del problem
        return None  # type: ignore[return-value]


class RaisesOddly(Faithful):
    """Raises what cannot be sent as it is."""

    name = "raises-oddly"

    def solve(self, problem: Problem) -> Solution:
        del problem
        raise ValueError("no such file: \udcff")


class Silent(Faithful):
    """Raises what cannot say what is wrong."""

    name = "silent"

    def solve(self, problem: Problem) -> Solution:
        del problem

        class Wordless(Exception):  # noqa: N818
            def __str__(self) -> str:
                raise RuntimeError

        raise Wordless


class Raises(Faithful):
    name = "raises"

    def solve(self, problem: Problem) -> Solution:
        raise RuntimeError(f"no kernel for {problem.case.dtype}\nsee the manual")


class AsksToExit(Faithful):
    name = "asks-to-exit"

    def solve(self, problem: Problem) -> Solution:
        del problem
        sys.exit(3)


class CannotTell(Faithful):
    name = "cannot-tell"

    def supports(self, case: Case) -> str | None:
        raise LookupError(case.name)


class Mutates(Faithful):
    name = "mutates"

    def solve(self, problem: Problem) -> Solution:
        problem.input[...] = 0
        return super().solve(problem)


class Prints(Faithful):
    name = "prints"

    def solve(self, problem: Problem) -> Solution:
        print("from Python")
        os.write(1, b"from C\n")
        return super().solve(problem)


class Views(Faithful):
    """Hands out strided views of one buffer."""

    name = "views"

    def solve(self, problem: Problem) -> Solution:
        return {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in super().solve(problem).items()}


class Warns(Faithful):
    name = "warns"

    def solve(self, problem: Problem) -> Solution:
        import warnings

        warnings.warn("this kernel is slow", UserWarning, stacklevel=1)
        return super().solve(problem)


class Picky(Faithful):
    name = "picky"

    def supports(self, case: Case) -> str | None:
        return None if case.name == "plain" else "only plain LSTMs"


class Expensive(Faithful):
    name = "expensive"
    default_tag = "few"


class Absent(Faithful):
    name = "absent"
    requires = ("a_framework_that_is_not_there",)
    install = "pip install a-framework"


class Borderline(Faithful):
    """Between the budget and the rigorous bound, in every draw."""

    name = "borderline"
    draws: ClassVar[int] = 3

    def __init__(self) -> None:
        self._solved = itertools.count()

    def solve(self, problem: Problem) -> Solution:
        solution = self.exact(problem)
        if next(self._solved) % 3 >= self.draws:
            return solution
        expected = Oracle(None).expect(problem, PROFILES[problem.case.dtype], Dialect())
        budget, bound = expected.budget["output"], expected.bound["output"]
        place = np.unravel_index(np.argmax(bound - budget), budget.shape)
        assert bound[place] > 1.2 * budget[place], "this case leaves no room between budget and bound"
        solution["output"] = solution["output"].copy()
        solution["output"][place] += (budget[place] + bound[place]) / 2
        return solution


class OnceBorderline(Borderline):
    """The same in a case's own draw only: bad luck, as a correct implementation may have it."""

    name = "once-borderline"
    draws: ClassVar[int] = 1


class Dies(Faithful):
    name = "dies"

    def solve(self, problem: Problem) -> Solution:
        if problem.case.name == "ragged":
            os._exit(3)
        return super().solve(problem)


class Hangs(Faithful):
    """In C, without letting go of the interpreter."""

    name = "hangs"

    def solve(self, problem: Problem) -> Solution:
        if problem.case.name == "ragged":
            sum(itertools.repeat(0))
        return super().solve(problem)


class Interrupts(Faithful):
    """Ctrl-C while the second case runs."""

    name = "interrupts"

    def __init__(self) -> None:
        self._solved = itertools.count(1)

    def solve(self, problem: Problem) -> Solution:
        if next(self._solved) == 2 and not os.environ.get("CALM"):
            raise KeyboardInterrupt
        return super().solve(problem)


def unfinished() -> None:
    """Not an adapter."""


class Unfinished(Adapter):
    """An adapter without name and solve."""

    def supports(self, case: Case) -> str | None:
        del case
        return None

"""Fake implementations, most of which fail in one known way. They import no framework."""

import itertools
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import Adapter, Solution, uses
from conformance.cases.case import Case
from conformance.verdict.declared import record_shape
from conformance.verdict.oracle import Oracle, solve
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import PROFILES, Dialect, Profile


class Faithful(Adapter):
    """The reference, rounded to the dtype of the case."""

    name = "faithful"

    def supports(self, case: Case) -> str | None:
        del case
        return None

    def describe(self) -> dict[str, str]:
        return {"made of": "the reference"}

    def solve(self, problem: Problem) -> Solution:
        return {name: round_to(problem.case.dtype, array) for name, array in self.exact(problem).items()}

    def exact(self, problem: Problem) -> dict[str, Any]:
        with np.errstate(over="ignore", invalid="ignore"):
            results = solve(problem, Dialect())
        return {name: results[name] for name in problem.expected_shapes()}


class DeclaresFloat16(Faithful):
    """Declares the rounding profile of float16 for every dtype."""

    name = "declares-float16"

    def profile(self, case: Case) -> Profile:
        del case
        return PROFILES["float16"]


class Declares(Faithful):
    """Declares its features as data."""

    name = "declares"
    features = frozenset({"float32", "gradients", "bidirectional"})
    lacks: ClassVar[dict[str, str]] = {"lengths": "declares needs rows of equal length"}

    def supports(self, case: Case) -> str | None:
        return Adapter.supports(self, case)


class Misdeclares(Faithful):
    """Declares a shape that the output does not have, and promises results that repeat exactly, but h_n does not."""

    name = "misdeclares"
    repeats_exactly = True

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        record_shape("output", [None, *problem.output_shape], found["output"].shape)
        if problem.case.earlier_calls:
            found["h_n"] = np.nextafter(found["h_n"], np.float32(2))
        return found


class ForwardOnly(Faithful):
    """Computes no gradients."""

    name = "forward-only"

    def supports(self, case: Case) -> str | None:
        return "forward-only has no gradients" if "gradients" in case.check else None


class OwnProcess(Faithful):
    """Requires its own process."""

    name = "own-process"
    own_process = True

    def describe(self) -> dict[str, str]:
        return {"process": str(os.getpid())}


class Backend(Faithful):
    """Requires an environment variable when its process starts."""

    name = "backend"
    environment: Mapping[str, str] = {"A_FAKE_BACKEND": "seven"}

    def describe(self) -> dict[str, str]:
        return {"back end": os.environ.get("A_FAKE_BACKEND", "none")}


class Wrong(Faithful):
    """Returns a wrong final state and a wrong gradient."""

    name = "wrong"

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        return solution | {"h_n": solution["h_n"] * np.float32(1.5), "grad.input": -solution["grad.input"]}


class ReverseWithoutBiases(Faithful):
    """Ignores the biases of the reverse direction. Their gradients are 0."""

    name = "reverse-without-biases"

    def exact(self, problem: Problem) -> dict[str, Any]:
        ignored = [name for name in problem.parameters if name.startswith("bias") and name.endswith("_reverse")]
        read = {name: 0 * array if name in ignored else array for name, array in problem.parameters.items()}
        found = super().exact(replace(problem, parameters=read))
        return {name: 0 * array if name.removeprefix("grad.") in ignored else array for name, array in found.items()}


class Refuses(Faithful):
    """Passes its arguments and parameters to a framework that checks them."""

    name = "refuses"
    requires = ("tests.framework",)
    packages: Mapping[str, str] = {"tests.framework": "1"}

    def solve(self, problem: Problem) -> Solution:
        from tests import framework

        given, correct = (
            {**uses.arguments(each), **uses.parameters(each)} for each in (problem, replace(problem, wrong={}))
        )
        framework.check(given, correct)
        return super().solve(problem)


class RefusesInThreeWays(Refuses):
    """Refuses c_0 with a single row. The adapter refuses a single unit, and the process dies of a single row of h_0."""

    name = "refuses-in-three-ways"

    def solve(self, problem: Problem) -> Solution:
        if problem.case.refuses == "c_0-units":
            raise ValueError("this adapter checks units")
        if problem.case.refuses == "h_0-rows":
            os.kill(os.getpid(), signal.SIGFPE)
        return super().solve(problem)


class RefusesEverything(Refuses):
    name = "refuses-everything"

    def solve(self, problem: Problem) -> Solution:
        from tests import framework

        framework.fail()
        return super().solve(problem)


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
    """Returns zeros, and needs no reference."""

    name = "zeros"

    def solve(self, problem: Problem) -> Solution:
        return {name: np.zeros(shape) for name, shape in problem.expected_shapes().items()}


class ReturnsNone(Faithful):
    name = "returns-none"

    def solve(self, problem: Problem) -> Solution:
        del problem
        return None  # type: ignore[return-value]


class RaisesSurrogate(Faithful):
    """Raises an error whose message cannot be encoded in UTF-8."""

    name = "raises-surrogate"

    def solve(self, problem: Problem) -> Solution:
        del problem
        raise ValueError("no such file: \udcff")


class RaisesWithoutMessage(Faithful):
    """Raises an error whose ``__str__`` raises."""

    name = "raises-without-message"

    def solve(self, problem: Problem) -> Solution:
        del problem

        class UnprintableError(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        raise UnprintableError


class Raises(Faithful):
    name = "raises"

    def solve(self, problem: Problem) -> Solution:
        raise RuntimeError(f"no kernel for {problem.case.dtype}\nsee the manual")


class CallsExit(Faithful):
    name = "calls-exit"

    def solve(self, problem: Problem) -> Solution:
        del problem
        sys.exit(3)


class RaisesInSupports(Faithful):
    name = "raises-in-supports"

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
    """Returns strided arrays."""

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
    """Supports only the case named plain."""

    name = "picky"

    def supports(self, case: Case) -> str | None:
        return None if case.name == "plain" else "only plain LSTMs"


class Expensive(Faithful):
    """Runs only cases tagged ``few``, unless it is named."""

    name = "expensive"
    default_tag = "few"


class Absent(Faithful):
    """Requires a package that is not installed."""

    name = "absent"
    requires = ("a_missing_framework",)
    install = "pip install a-framework"


class Borderline(Faithful):
    """Deviates by more than the budget but less than the rigorous bound.

    Attributes:
        draws: number of draws of a case, of three, in which it deviates.
    """

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
        assert bound[place] > 1.2 * budget[place], "the bound of this case is too close to its budget"
        solution["output"] = solution["output"].copy()
        solution["output"][place] += (budget[place] + bound[place]) / 2
        return solution


class OnceBorderline(Borderline):
    """Deviates in the first draw only, as a correct implementation may."""

    name = "once-borderline"
    draws: ClassVar[int] = 1


class Dies(Faithful):
    """Ends its process in the case named ragged."""

    name = "dies"

    def solve(self, problem: Problem) -> Solution:
        if problem.case.name == "ragged":
            os._exit(3)
        return super().solve(problem)


class Hangs(Faithful):
    """Never returns in the case named ragged, and does not release the GIL."""

    name = "hangs"

    def solve(self, problem: Problem) -> Solution:
        if problem.case.name == "ragged":
            sum(itertools.repeat(0))
        return super().solve(problem)


class Remembers(Faithful):
    """Returns a wrong final state after a case without biases has run in the same process."""

    name = "remembers"
    features = frozenset({"float64", "no bias"})

    def __init__(self) -> None:
        self._confused = False

    def supports(self, case: Case) -> str | None:
        return Adapter.supports(self, case)

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        if self._confused and problem.case.bias and "h_n" in solution:
            solution["h_n"] = solution["h_n"] + 1
        self._confused |= not problem.case.bias
        return solution


class KillsItsParent(Declares):
    """Kills the process that runs the suite in the seventh case, unless the environment variable RESUMED is set."""

    name = "kills-its-parent"

    def __init__(self) -> None:
        self._solved = itertools.count(1)

    def solve(self, problem: Problem) -> Solution:
        if next(self._solved) == 7 and not os.environ.get("RESUMED"):
            os.kill(os.getppid(), signal.SIGKILL)
        return super().solve(problem)


class Interrupts(Faithful):
    """Raises KeyboardInterrupt in the second case, unless the environment variable RESUMED is set."""

    name = "interrupts"

    def __init__(self) -> None:
        self._solved = itertools.count(1)

    def solve(self, problem: Problem) -> Solution:
        if next(self._solved) == 2 and not os.environ.get("RESUMED"):
            raise KeyboardInterrupt
        return super().solve(problem)


def unfinished() -> None:
    """A function, which is no adapter."""


class Unfinished(Adapter):
    """An adapter without a name and without ``solve``."""

    def supports(self, case: Case) -> str | None:
        del case
        return None

"""Measures what the budget of the profile ``int8-dynamic`` detects, and whether correct implementations stay within it.

    python -m benchmarks.int8

It needs torch. The cases are the shipped float32 cases that torch's dynamically quantized LSTM supports, without
gradients. A defect is a mistake of the LSTM's forward pass with weights of 8 bits.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conformance.adapters.pytorch.reduced_precision import TorchDynamicInt8, TorchDynamicInt8PerChannel
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.power import detection
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect, Profile, quantize_weights

DRAWS = 4
"""Draws of the values of each case."""
MAX_ELEMENTS = 20_000
"""Steps times rows times units of the largest case that is drawn several times and run with every defect."""
NAMED = ("gates-read-ifog", "gates-read-igfo", "biases-ignored", "bias-of-forget-gate-ignored", "weights-in-int8")
"""Defects whose error ratio is printed."""


def main() -> None:
    """Prints three tables: error ratios of correct implementations, of other steps, and of defects."""
    cases = supported()
    small = [case for case in cases if case.seq_len * (case.rows or 1) * max(case.hidden_sizes) <= MAX_ELEMENTS]
    print_error_ratios(cases, small)
    for profile in (PROFILES["float32"], TorchDynamicInt8().profile(small[0])):
        print_detected(small, profile)


def supported() -> list[Case]:
    """Returns the shipped cases that torch's quantized LSTM supports and that 8 bits can represent."""
    forward = (
        case.model_copy(update={"check": tuple(name for name in case.check if name != "gradients")})
        for case in load_all([shipped_cases()])
    )
    adapter = TorchDynamicInt8()
    return [case for case in forward if case.check and not case.input_nan and not adapter.supports(case)]


def print_error_ratios(cases: Sequence[Case], small: Sequence[Case]) -> None:
    """Prints how often solutions with each kind of steps fail if each kind is declared."""
    oracle, adapters = Oracle(), (TorchDynamicInt8(), TorchDynamicInt8PerChannel())
    for declared in adapters:
        for adapter in adapters:
            ratios = []
            for case in cases:
                for draw in range(DRAWS if case in small else 1):
                    problem = make_problem(case, draw)
                    expectation = oracle.expect(problem, declared.profile(case), Dialect())
                    ratios.append(judge(problem, adapter.solve(problem), expectation).error_ratio)
            failures = sum(ratio > 1 for ratio in ratios)
            print(
                f"{adapter.name}, declared as {declared.name}: {failures} of {len(ratios)} fail; "
                f"error ratio p50 {np.median(ratios):.2f}, max {max(ratios):.2f}"
            )


def print_detected(cases: Sequence[Case], profile: Profile) -> None:
    """Prints how many defects the cases detect in a profile, and those that they do not detect."""
    largest: dict[str, float] = {}
    for case in cases:
        problem = make_problem(case)
        problem = replace(problem, parameters=quantize_weights(problem.parameters, profile))
        expectation = Oracle().expect(problem, profile, Dialect())
        with np.errstate(all="ignore"):
            ratios = detection.error_ratios(problem, expectation, Dialect(), CATALOGUE)
        for name, ratio in ratios.items():
            largest[name] = max(largest.get(name, 0.0), ratio)
    undetected = sorted(name for name, ratio in largest.items() if ratio <= detection.DETECTED_ABOVE)
    print(f"{profile.name}: {len(largest) - len(undetected)} of {len(largest)} defects detected in {len(cases)} cases")
    print("  error ratios:", ", ".join(f"{name} {largest[name]:.3g}" for name in NAMED if name in largest))
    print("  not detected:", ", ".join(undetected) or "none")


if __name__ == "__main__":
    main()

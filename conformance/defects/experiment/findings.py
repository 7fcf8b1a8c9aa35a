"""Findings about an implementation."""

from dataclasses import dataclass, field

from conformance.results.response_map import ResponseMap


@dataclass(frozen=True)
class Finding:
    """One thing that an implementation does wrongly.

    Attributes:
        what: description, such as ``ignores bias_hh of layer 1``.
        probes: names of the probes in which it was found.
        conforming: number of conforming probes to which it would apply.
        verified: whether the reference with this change reproduces every tensor. Otherwise it is an observation.
        solutions: number of solutions that the changed reference reproduces.
        misfit: largest |deviation| from the changed reference, in tolerances; 0 for an observation.
    """

    what: str
    probes: tuple[str, ...]
    conforming: int = 0
    verified: bool = False
    solutions: int = 0
    misfit: float = 0.0


@dataclass
class Dissection:
    """Mistakes in what an implementation reads and returns, and the probes that were run.

    Attributes:
        implementation: name of the implementation.
        probed: dtype of each probe that ran.
        forward_only: probes of which the implementation computes no gradients.
        failing: names of the probes that do not conform.
        unsupported: reasons why probes did not run.
        repeats: whether the same problem always gives the same results. If not, nothing else is reported.
        comes_and_goes: whether failures come and go in fresh processes, too.
        history: how results depend on earlier calls. If there is any, everything else describes results of problems
            that are each solved alone, in a fresh process.
        imprecise: probes whose float64 results are only as precise as float32. They are probed in float32 instead.
        imprecise_place: where the float64 results are imprecise; empty if everywhere.
        findings: what is wrong, verified findings first.
        unexplained: failing probes without a verified explanation.
        changed: number of blocks that were changed alone.
        responses: map of the wrong responses for each explanation for which they were measured, by its text; that of
            unexplained probes under an empty text.
        left_out: experiments that could not run, with the reasons.
        exact: whether the implementation declares no rounding beyond that of the dtype.
    """

    implementation: str
    probed: dict[str, str] = field(default_factory=dict)
    forward_only: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    unsupported: dict[str, str] = field(default_factory=dict)
    repeats: bool = True
    comes_and_goes: bool = False
    history: list[Finding] = field(default_factory=list)
    imprecise: list[str] = field(default_factory=list)
    imprecise_place: str = ""
    findings: list[Finding] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    changed: int = 0
    responses: dict[str, ResponseMap] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    exact: bool = True

    @property
    def reads_and_returns_correctly(self) -> bool:
        """Whether nothing is wrong but the precision."""
        return not (self.failing or self.findings or self.history)

    @property
    def is_correct(self) -> bool:
        """Whether nothing wrong was found."""
        return self.reads_and_returns_correctly and not self.imprecise

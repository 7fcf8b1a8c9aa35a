"""Settings of a run, from which each process creates its runner."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.cases.case import Case
from conformance.cases.size import SizeLimits
from conformance.defects.power import bitmasks
from conformance.known import divergences as known
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        cached: whether to use the cache.
        diagnoses: whether failures are diagnosed.
        power: how to measure power.
        memory: limit of the memory of a case in bytes; None for the default of the machine.
        seconds: limit of the CPU time of a case; None for the default.
        rejected: reasons why cases cannot be judged, by case key.
    """

    cached: bool = True
    diagnoses: bool = True
    power: bitmasks.Mode = "auto"
    memory: int | None = None
    seconds: float | None = None
    rejected: Mapping[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> SizeLimits:
        """Limits of the memory and the CPU time of a case on this machine."""
        return SizeLimits.of(self.memory, self.seconds)

    def oracle(self) -> Oracle:
        """Returns an oracle that uses the cache, or none."""
        return Oracle() if self.cached else Oracle(None)

    def runner(self, oracle: Oracle, planned: Callable[[str], Sequence[Case]]) -> Runner:
        """Returns a runner.

        Args:
            oracle: source of the expected solutions.
            planned: function that returns the planned cases of an implementation, of which power is measured.
        """
        detector = None if self.power == "off" else bitmasks.Detector(oracle.cache, self.power, planned)
        return Runner(
            oracle,
            known.shipped(),
            diagnoses=self.diagnoses,
            detector=detector,
            rejected=self.rejected,
            limits=self.limits,
        )

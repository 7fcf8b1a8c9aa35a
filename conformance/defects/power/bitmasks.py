"""Bit masks of the defects that a case detects. Each passing result contains one.

The kill matrix of the shipped cases takes minutes to compute, so the package contains their masks (``detected.json``,
written by ``conformance power --write``). The file is used only as long as the code that determines the masks is
unchanged. All other masks are computed.
"""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from conformance.adapters import Adapter, registry
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.features import features
from conformance.defects.power import sample, screening, sizes
from conformance.defects.power.kill_matrix import REQUIRED, Row, View, code_hash
from conformance.results import atomic
from conformance.verdict.oracle import RejectedCaseError

SHIPPED = Path(__file__).with_name("detected.json")
"""Path of the file with the masks of the shipped cases."""

IDS: tuple[str, ...] = tuple(defect.id for defect in REQUIRED)
"""Ids of the defects that power counts. Bit n of a mask stands for ``IDS[n]``."""


Mode = Literal["auto", "full", "off"]
"""How a run measures power: a sample of the cases at reduced sizes, every case at its own sizes, or not at all."""


@dataclass(frozen=True)
class Measured:
    """Power of a case.

    Attributes:
        mask: the defects that the case detects.
        sizes: sizes at which power was measured; empty for the case's own sizes.
    """

    mask: int
    sizes: Mapping[str, Any]


@dataclass
class Detector:
    """Computes which defects a case detects.

    Attributes:
        folder: cache folder for computed masks; None to compute without a cache.
        mode: ``full`` measures every case at its own sizes; ``auto`` measures a sample at reduced sizes.
        planned: returns the planned cases of an implementation, from which the sample is chosen; None for no sample.
    """

    folder: Path | None
    mode: Literal["auto", "full"] = "auto"
    planned: Callable[[str], Sequence[Case]] | None = None
    _samples: dict[str, frozenset[str]] = field(default_factory=dict)

    def measure(self, case: Case, adapter: Adapter, key: str) -> Measured | None:
        """Measures the power of a case under the profile and dialect of an implementation.

        Args:
            case: the case that ran.
            adapter: the implementation.
            key: key of the planned case, which may also check gradients.

        Returns:
            The power; None if the case is not in the sample, or if its reduced case cannot be judged.
        """
        view = View.of(case, adapter)
        smaller = view
        if self.mode == "auto" and view.key not in shipped_masks():
            if self.planned is not None and key not in self._sample(adapter, self.planned):
                return None
            smaller = replace(view, case=sizes.reduce(case))
        try:
            return Measured(mask_of(smaller, self.folder), sizes.changed_sizes(case, smaller.case))
        except RejectedCaseError:
            return None

    def _sample(self, adapter: Adapter, planned: Callable[[str], Sequence[Case]]) -> frozenset[str]:
        """Returns the keys of the cases to measure, chosen when the implementation's first case passes."""
        if adapter.name not in self._samples:
            self._samples[adapter.name] = sample.choose(planned(adapter.name), partial(_supports, adapter))
        return self._samples[adapter.name]


def _supports(adapter: Adapter, case: Case) -> bool:
    """Returns whether an implementation runs a case, with or without gradients."""
    forward = case.forward_only()
    runs = [case, forward] if forward and "gradients" in case.check else [case]
    try:
        return any(adapter.supports(run) is None for run in runs)
    except Exception:
        return False  # The case's own result reports the error.


def mask_of(view: View, folder: Path | None) -> int:
    """Returns the mask of the defects that a case detects: that of the shipped case, else computes it.

    Args:
        view: the case and how it is judged.
        folder: cache folder for computed masks; None to compute without a cache.

    Raises:
        RejectedCaseError: the case cannot be judged.
    """
    shipped = shipped_masks().get(view.key)
    return _to_mask(screening.compute(view, folder)) if shipped is None else shipped


def mask(row: Row) -> int:
    """Returns the mask of the defects that a row detects."""
    return _to_mask(row.detected)


def _to_mask(ids: Container[str]) -> int:
    return sum(1 << bit for bit, name in enumerate(IDS) if name in ids)


def names(bits: int, ids: Sequence[str] = IDS) -> list[str]:
    """Returns the ids of the defects in a mask."""
    return [name for bit, name in enumerate(ids) if bits >> bit & 1]


def shipped_views() -> list[View]:
    """Returns all views of the shipped cases.

    These are the generic view of each case and the view of each registered implementation that runs it by default.
    """
    adapters = [registry.load(name) for name in registry.registered()]
    views = []
    for case in load_all([shipped_cases()]):
        views.append(View.of(case))
        views += [View.of(run, adapter) for adapter in adapters if (run := _run_by(adapter, case))]
    return list({view.key: view for view in views}.values())


def _run_by(adapter: Adapter, case: Case) -> Case | None:
    """Returns the case as an implementation runs it by default; None if it does not run the case."""
    run = case if "gradients" in adapter.features else case.forward_only() or case
    return run if adapter.runs_by_default(case) and set(features(run)) <= adapter.features else None


def write_shipped(rows: Mapping[str, Row]) -> Path:
    """Writes the masks of the shipped cases, given their rows by the keys of their views. Returns the file's path."""
    content = {"code": code_hash(), "defects": IDS, "rows": {key: f"{mask(row):x}" for key, row in rows.items()}}
    atomic.write(SHIPPED, json.dumps(content, indent=0) + "\n")
    shipped_masks.cache_clear()
    return SHIPPED


@cache
def shipped_masks() -> dict[str, int]:
    """Returns the shipped cases' masks by the keys of their views; empty if the code has changed since."""
    try:
        content = json.loads(SHIPPED.read_bytes())
        if content["code"] != code_hash() or tuple(content["defects"]) != IDS:
            return {}
        return {key: int(bits, 16) for key, bits in content["rows"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # The file is missing or damaged: compute the masks.

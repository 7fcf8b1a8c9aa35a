"""Bit masks of the defects that a case detects. Each passing result contains one.

The kill matrix of the shipped cases takes minutes to compute, so the package contains their masks (``detected.json``,
written by ``conformance power --write``). The file is used only as long as the code that determines the masks is
unchanged. All other masks are computed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.adapters import Adapter, registry
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.features import features
from conformance.defects.power.kill_matrix import REQUIRED, Row, View, code_hash, compute_row
from conformance.results import atomic

SHIPPED = Path(__file__).with_name("detected.json")
"""Path of the file with the masks of the shipped cases."""

IDS: tuple[str, ...] = tuple(defect.id for defect in REQUIRED)
"""Ids of the defects that power counts. Bit n of a mask stands for ``IDS[n]``."""


@dataclass(frozen=True)
class Detector:
    """Computes which defects a case detects.

    Attributes:
        folder: cache folder for computed rows; None to compute without a cache.
    """

    folder: Path | None

    def mask(self, case: Case, adapter: Adapter) -> int:
        """Returns the mask of the defects that a case detects under the profile and dialect of an implementation."""
        view = View.of(case, adapter)
        shipped = shipped_masks().get(view.key)
        return mask(compute_row(view, self.folder)) if shipped is None else shipped


def mask(row: Row) -> int:
    """Returns the mask of the defects that a row detects."""
    return sum(1 << bit for bit, name in enumerate(IDS) if name in row.detected)


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

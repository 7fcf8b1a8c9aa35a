"""Which defects the checks of a case see, for every result that passes.

What the shipped cases see is kept in the package, since the kill matrix takes minutes: ``conformance power --write``
writes it. A row of it holds as long as the code that it was computed by is the same; what is not there, or no longer
holds, is computed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.adapters import Adapter, registry
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.features import features
from conformance.defects.power.kill_matrix import REQUIRED, Row, View, code, row

SHIPPED = Path(__file__).with_name("detected.json")
"""What the shipped cases see."""

IDS: tuple[str, ...] = tuple(defect.id for defect in REQUIRED)
"""The defects by the bits of a mask, lowest first: those that can be told from a correct LSTM."""


@dataclass(frozen=True)
class Detector:
    """Tells which defects are seen.

    Attributes:
        folder: where rows are kept that had to be computed; None for nowhere.
    """

    folder: Path | None

    def mask(self, case: Case, adapter: Adapter) -> int:
        """The defects that an implementation would fail this case with, as bits over ``IDS``."""
        view = View.of(case, adapter)
        kept = shipped().get(view.key)
        return mask(row(view, self.folder)) if kept is None else kept


def names(bits: int, ids: Sequence[str] = IDS) -> list[str]:
    """The defects of a mask."""
    return [name for bit, name in enumerate(ids) if bits >> bit & 1]


def shipped_views() -> list[View]:
    """The shipped cases, as each registered implementation is judged on those that it runs by default."""
    adapters = [registry.load(name) for name in registry.registered()]
    views = []
    for case in load_all([shipped_cases()]):
        views.append(View.of(case))
        views += [View.of(run, adapter) for adapter in adapters if (run := _run_by(adapter, case))]
    return list({view.key: view for view in views}.values())


def _run_by(adapter: Adapter, case: Case) -> Case | None:
    """What an implementation runs of a case: without gradients, its forward half; None for nothing."""
    run = case if "gradients" in adapter.features else case.forward_only() or case
    return run if adapter.runs_by_default(case) and set(features(run)) <= adapter.features else None


def write(rows: Mapping[str, Row]) -> Path:
    """Writes what the shipped cases see, by the keys of their views; returns where."""
    content = {"code": code(), "defects": IDS, "rows": {key: f"{mask(found):x}" for key, found in rows.items()}}
    draft = SHIPPED.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(content, indent=0) + "\n")
    draft.replace(SHIPPED)
    shipped.cache_clear()
    return SHIPPED


def mask(found: Row) -> int:
    """What a row detection, as bits over ``IDS``."""
    return sum(1 << bit for bit, name in enumerate(IDS) if name in found.detected)


@cache
def shipped() -> dict[str, int]:
    """The masks by the keys of their views; none when the code has changed since they were written."""
    try:
        content = json.loads(SHIPPED.read_bytes())
        if content["code"] != code() or tuple(content["defects"]) != IDS:
            return {}
        return {key: int(bits, 16) for key, bits in content["rows"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # Not there, or damaged: computed.

"""The kill matrix: the error ratio that each defect would have on each case. Computed once, kept on disk by content."""

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import numpy as np

import conformance.cases.case
import conformance.defects.catalogue
import conformance.verdict.oracle
import conformance.verdict.problem
import reference
from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.defects import defect
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power import detection
from conformance.errors import UserError
from conformance.verdict.oracle import ChaoticCaseError, Oracle
from conformance.verdict.problem import concerning, make_problem
from reference import PROFILES, Dialect, Profile

Progress = Callable[[int, int], None]
"""Is told how many rows are there, and how many there will be."""

REQUIRED: tuple[Defect, ...] = tuple(one for one in CATALOGUE if not one.equivalent)
"""The defects that can be told from a correct LSTM: those that power is measured by."""

_WORTH_A_PROCESS = 8
"""Rows below which starting processes costs more than it saves."""


@dataclass(frozen=True)
class View:
    """A case as one implementation is judged on it: which defects are seen depends on the budget and the dialect."""

    case: Case
    profile: Profile
    dialect: Dialect

    @classmethod
    def of(cls, case: Case, adapter: Adapter | None = None) -> Self:
        """The view on a case of an implementation; without one, of its dtype's generic profile."""
        if adapter is None:
            return cls(case, PROFILES[case.dtype], Dialect())
        return cls(case, adapter.profile(case), concerning(case, adapter.dialect(case)))

    @property
    def key(self) -> str:
        """A hash of all of it, 16 hexadecimal digits."""
        content = repr((self.case.canonical, astuple(self.profile), astuple(self.dialect)))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Row:
    """What one case sees.

    Attributes:
        case: the case.
        error_ratios: by id, of every defect that applies; beyond ``DETECTED_ABOVE`` it is seen.
    """

    case: Case
    error_ratios: dict[str, float]

    @property
    def detected(self) -> frozenset[str]:
        """The ids of the defects that are seen."""
        return frozenset(
            name for name, error_ratio in self.error_ratios.items() if error_ratio > detection.DETECTED_ABOVE
        )


def row(view: View, folder: Path | None) -> Row:
    """One row, from the cache if it is there.

    Args:
        view: the case, and how it is judged.
        folder: where rows are kept; None for nowhere.

    Raises:
        UserError: the case is chaotic.
    """
    return Row(view.case, _load(view, folder) or _compute(view, folder))


def matrix(views: Sequence[View], folder: Path | None, jobs: int = 1, progress: Progress | None = None) -> list[Row]:
    """Rows in the order of the views.

    Args:
        views: the cases, and how they are judged.
        folder: where rows are kept; None for nowhere.
        jobs: processes to compute on those that are not there yet.
        progress: is called after each row.

    Raises:
        UserError: a case is chaotic.
    """
    found = {place: kept for place, view in enumerate(views) if (kept := _load(view, folder)) is not None}
    # The dearest first, so that no process is left alone with one at the end.
    absent = sorted(
        (place for place in range(len(views)) if place not in found), key=lambda place: -_cost(views[place])
    )
    tell = progress or (lambda *_: None)
    tell(len(found), len(views))
    for place, error_ratios in zip(absent, _computed([views[place] for place in absent], folder, jobs), strict=True):
        found[place] = error_ratios
        tell(len(found), len(views))
    return [Row(view.case, found[place]) for place, view in enumerate(views)]


def _computed(views: Sequence[View], folder: Path | None, jobs: int) -> Iterable[dict[str, float]]:
    if jobs == 1 or len(views) < _WORTH_A_PROCESS:
        yield from (_compute(view, folder) for view in views)
        return
    # Spawned: a fork would copy the threads of whatever framework runs here.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_compute, views, [folder] * len(views))


def _compute(view: View, folder: Path | None) -> dict[str, float]:
    problem = make_problem(view.case).under(view.dialect)
    try:
        expectation = Oracle(folder).expect(problem, view.profile, view.dialect)
    except ChaoticCaseError as error:
        raise UserError(f"{view.case.file}:{view.case.line}: {view.case.name} cannot be judged: {error}") from error
    with np.errstate(all="ignore"):  # What a wrong LSTM overflows to is seen, not warned of.
        error_ratios = detection.error_ratios(problem, expectation, view.dialect, CATALOGUE)
    _store(view, folder, error_ratios)
    return error_ratios


def _cost(view: View) -> int:
    """Roughly: the products of all steps."""
    return view.case.seq_len * (view.case.rows or 1) * view.case.model.parameter_count()


# --------------------------------------------------------------------------- the cache


def path(view: View, folder: Path) -> Path:
    """Where a row is kept."""
    key = hashlib.sha256(f"{code()} {np.__version__} {view.key}".encode()).hexdigest()
    return folder / key[:2] / key


def _load(view: View, folder: Path | None) -> dict[str, float] | None:
    if folder is None:
        return None
    try:
        content = json.loads(path(view, folder).read_bytes())
        return {str(name): float(error_ratio) for name, error_ratio in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # Not there, or damaged: computed again, and written anew.


def _store(view: View, folder: Path | None, error_ratios: dict[str, float]) -> None:
    """Keeps a row if it can: a cache that cannot be written costs time, not correctness."""
    if folder is None:
        return
    target = path(view, folder)
    partial = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({name: str(error_ratio) for name, error_ratio in error_ratios.items()}))
        partial.replace(target)
    except OSError:
        with suppress(OSError):
            partial.unlink()


@cache
def code() -> str:
    """A hash of the code that a row depends on: the reference, the problems, the defects."""
    modules = (conformance.cases.case, conformance.verdict.problem, conformance.verdict.oracle, defect, detection)
    folders = (Path(reference.__file__).parent, Path(conformance.defects.catalogue.__file__).parent)
    paths = [Path(str(module.__file__)) for module in modules]
    paths += [path for folder in folders for path in sorted(folder.glob("*.py"))]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_statements(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _statements(source: str) -> str:
    """Returns the lines of a module that can change a row: not docstrings, comments, imports and empty lines."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))

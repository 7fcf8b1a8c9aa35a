"""The kill matrix: the error ratio of each defect on each case. Rows are cached on disk by content."""

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
import conformance.verdict.error_ratio
import conformance.verdict.oracle
import conformance.verdict.problem
import conformance.verdict.random_arrays
import conformance.verdict.values
import reference
from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.size import operations
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power import detection
from conformance.errors import UserError
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem, normalize_dialect
from reference import PROFILES, Dialect, Profile

Progress = Callable[[int, int], None]
"""Callback for progress; its arguments are the number of finished rows and the number of all rows."""
_ErrorRatios = dict[str, float] | UserError
"""Error ratios of a view by defect, or why the case cannot be judged."""

REQUIRED: tuple[Defect, ...] = tuple(each for each in CATALOGUE if not each.equivalent)
"""Defects that power counts: all that are not equivalent to a correct LSTM."""

_MIN_ROWS_FOR_PROCESSES = 8
"""Smallest number of missing rows for which several processes are faster than one."""


@dataclass(frozen=True)
class View:
    """A case with the profile and dialect of an implementation. They determine a row of the kill matrix."""

    case: Case
    profile: Profile
    dialect: Dialect

    @classmethod
    def of(cls, case: Case, adapter: Adapter | None = None) -> Self:
        """Returns an implementation's view of a case; without an adapter, uses the dtype's generic profile."""
        if adapter is None:
            return cls(case, PROFILES[case.dtype], Dialect())
        return cls(case, adapter.profile(case), normalize_dialect(case, adapter.dialect(case)))

    @property
    def key(self) -> str:
        """Hash of case, profile and dialect: 16 hexadecimal digits."""
        content = repr((self.case.canonical, astuple(self.profile), astuple(self.dialect)))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Row:
    """One case's row of the kill matrix.

    Attributes:
        case: the case.
        error_ratios: error ratio of each applicable defect, by the defect's id.
    """

    case: Case
    error_ratios: dict[str, float]

    @property
    def detected(self) -> frozenset[str]:
        """Ids of the defects that the case detects."""
        return frozenset(
            name for name, error_ratio in self.error_ratios.items() if error_ratio > detection.DETECTED_ABOVE
        )


def compute_row(view: View, folder: Path | None) -> Row:
    """Returns one row of the kill matrix, from the cache if possible.

    Args:
        view: the case and how it is judged.
        folder: cache folder; None to compute without a cache.

    Raises:
        UserError: the case cannot be judged.
    """
    return _row(view, _load(view, folder) or _compute(view, folder))


def compute_matrix(
    views: Sequence[View], folder: Path | None, jobs: int = 1, progress: Progress | None = None
) -> list[Row]:  # fmt: skip
    """Returns the rows of the kill matrix in the order of the views.

    Args:
        views: the cases and how they are judged.
        folder: cache folder; None to compute without a cache.
        jobs: number of processes for rows that are not in the cache.
        progress: callback for progress.

    Raises:
        UserError: a case cannot be judged.
    """
    return [_row(view, found) for view, found in zip(views, _find(views, folder, jobs, progress), strict=True)]


def compute_judgeable(
    views: Sequence[View], folder: Path | None, jobs: int = 1, progress: Progress | None = None
) -> dict[str, Row]:
    """Returns the rows of the kill matrix by the keys of the views, without those that cannot be judged.

    For the arguments see ``compute_matrix``.
    """
    rows = zip(views, _find(views, folder, jobs, progress), strict=True)
    return {view.key: _row(view, found) for view, found in rows if not isinstance(found, UserError)}


def _row(view: View, found: _ErrorRatios) -> Row:
    """Returns a row; raises the error of a case that cannot be judged."""
    if isinstance(found, UserError):
        raise found
    return Row(view.case, found)


def _find(views: Sequence[View], folder: Path | None, jobs: int, progress: Progress | None) -> list[_ErrorRatios]:
    """Loads or computes the error ratios of each view."""
    report = progress or (lambda *_: None)
    found: dict[int, _ErrorRatios] = {
        i: cached for i, view in enumerate(views) if (cached := _load(view, folder)) is not None
    }
    report(len(found), len(views))
    # Expensive rows come first, so that all processes finish at about the same time.
    missing = sorted((i for i in range(len(views)) if i not in found), key=lambda i: -operations(views[i].case))
    for i, error_ratios in zip(missing, _compute_all([views[i] for i in missing], folder, jobs), strict=True):
        found[i] = error_ratios
        report(len(found), len(views))
    return [found[i] for i in range(len(views))]


def _compute_all(views: Sequence[View], folder: Path | None, jobs: int) -> Iterable[_ErrorRatios]:
    if jobs == 1 or len(views) < _MIN_ROWS_FOR_PROCESSES:
        yield from (_compute(view, folder) for view in views)
        return
    # Spawn instead of fork: a fork would copy the threads of an imported framework.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_compute, views, [folder] * len(views))


def _compute(view: View, folder: Path | None) -> _ErrorRatios:
    problem = make_problem(view.case).under(view.dialect)
    try:
        expectation = Oracle(folder).expect(problem, view.profile, view.dialect)
    except RejectedCaseError as error:
        return UserError(f"{view.case.file}:{view.case.line}: {view.case.name} cannot be judged: {error}")
    with np.errstate(all="ignore"):  # A defect may overflow.
        error_ratios = detection.error_ratios(problem, expectation, view.dialect, CATALOGUE)
    _store(view, folder, error_ratios)
    return error_ratios


# --------------------------------------------------------------------------- the cache


def cache_path(view: View, folder: Path) -> Path:
    """Returns the path of a row in the cache."""
    key = hashlib.sha256(f"{code_hash()} {np.__version__} {view.key}".encode()).hexdigest()
    return folder / key[:2] / key


def _load(view: View, folder: Path | None) -> dict[str, float] | None:
    if folder is None:
        return None
    try:
        content = json.loads(cache_path(view, folder).read_bytes())
        return {str(name): float(error_ratio) for name, error_ratio in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # A missing or damaged row is computed again.


def _store(view: View, folder: Path | None, error_ratios: dict[str, float]) -> None:
    """Writes a row to the cache. Ignores errors, which cost only time."""
    if folder is None:
        return
    target = cache_path(view, folder)
    partial = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({name: str(error_ratio) for name, error_ratio in error_ratios.items()}))
        partial.replace(target)
    except OSError:
        with suppress(OSError):
            partial.unlink()


@cache
def code_hash() -> str:
    """Returns a hash of the code that determines a row: reference, problems, budgets and defects."""
    modules = (
        conformance.cases.case,
        conformance.verdict.problem,
        conformance.verdict.values,
        conformance.verdict.random_arrays,
        conformance.verdict.oracle,
        conformance.verdict.error_ratio,
        detection,
    )
    packages = (reference, conformance.defects, conformance.defects.catalogue)
    paths = [Path(str(module.__file__)) for module in modules]
    paths += [path for package in packages for path in sorted(Path(str(package.__file__)).parent.glob("*.py"))]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_statements(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _statements(source: str) -> str:
    """Returns the lines of a module that can change a row: all but docstrings, comments, imports and empty lines."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (docstring or isinstance(node, ast.Import | ast.ImportFrom)):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))

"""The releases of a package that can be installed here, from the index that pip is configured to use."""

import datetime
import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.version import Version

from conformance.environments import installer
from conformance.errors import MISSING, UserError

_FIRST_DAY = datetime.date(2014, 1, 1)
"""Day before the first release of every framework."""


def available(package: str) -> list[Version]:
    """Returns the releases with a wheel for this version of Python, the oldest first, without prereleases.

    Raises:
        UserError: the index cannot be reached, or has no such package.
    """
    try:
        printed = installer.call_pip(["index", "versions", "--only-binary", ":all:", package])
    except installer.InstallError as error:
        raise UserError(f"cannot list the releases of {package}:\n{error}", MISSING) from error
    line = re.search(r"^Available versions: (.*)$", printed, re.MULTILINE)
    if not line:
        raise UserError(f"cannot list the releases of {package}: pip printed\n{printed.strip()}", MISSING)
    return sorted(map(Version, line[1].split(", ")))


def select(
    releases: Sequence[Version],
    first: str | None = None,
    last: str | None = None,
    each_minor: bool = False,
    count: int | None = None,
) -> list[Version]:
    """Selects some releases, the oldest first.

    Args:
        releases: releases, the oldest first.
        first: oldest version to select.
        last: newest version to select. ``3.14`` includes 3.14.1.
        each_minor: whether to select only the newest patch release of each minor release.
        count: number of releases to select, the newest ones.
    """
    chosen = [release for release in releases if not first or release >= Version(first)]
    if last:
        parts = len(Version(last).release)
        chosen = [release for release in chosen if release.release[:parts] <= Version(last).release]
    if each_minor:
        chosen = list({release.release[:2]: release for release in chosen}.values())
    return chosen[-count:] if count else chosen


def release_date(requirement: Requirement) -> str:
    """Returns the day of a release, such as ``2024-05-01``.

    No installer prints it. uv can ignore releases after a given day, so about twelve questions find it.

    Args:
        requirement: requirement that names an exact version.

    Returns:
        The day; empty if the requirement is not exact, or uv or the index does not know it.
    """
    exact = [clause for clause in requirement.specifier if clause.operator == "==" and "*" not in clause.version]
    if not exact:
        return ""
    low, high = _FIRST_DAY.toordinal(), datetime.datetime.now(datetime.UTC).date().toordinal() + 1

    def exists(day: int) -> bool:
        return installer.exists(str(requirement), datetime.date.fromordinal(day).isoformat())

    if not exists(high):
        return ""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exists(middle) else (middle, high)
    return datetime.date.fromordinal(high).isoformat()

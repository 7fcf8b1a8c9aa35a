"""``conformance bisect``: finds the releases in which a deviation began and ended."""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from conformance.adapters import registry
from conformance.cases.case import Case
from conformance.cases.casefile import load_selected
from conformance.commands.versions import available
from conformance.environments import releases, requirements
from conformance.environments.bisection import Boundaries, search
from conformance.environments.requirements import Spec
from conformance.errors import MISSING, UserError
from conformance.known import divergences as known
from conformance.known import ranges
from conformance.known.divergences import Divergence
from conformance.run.search import Question, cases_for


def execute(args: argparse.Namespace) -> int:
    """Prints each step and the releases between which the result changes."""
    entry = next((entry for entry in known.shipped() if entry.id == args.what), None)
    if args.write and not entry:
        raise UserError("--write needs the id of a divergence. `conformance list --divergences` shows them.")
    name = args.name or _implementation(entry, args.what)
    package = args.package or _package(entry, name)
    question = Question(_cases(entry, args.what, name), entry)
    found = releases.select(available(package), args.first, args.to)
    if not found:
        raise UserError(
            f"no supported release of {package} is in this range. `pip index versions {package}` lists all."
        )
    others = requirements.named(args.others)
    print(f"{args.what} on {name}: {len(found)} releases of {package}, {len(question.cases)} cases", flush=True)

    skipped: list[Version] = []

    def deviates(index: int) -> bool | None:
        finding = question.ask(Spec(name, (requirements.exactly(package, found[index]), *others)))
        print(f"  {package} {found[index]}: {finding.text}", flush=True)
        if finding.deviates is None:
            skipped.append(found[index])
        return finding.deviates

    boundaries = search(len(found), deviates, _suspect(entry, found))
    if boundaries is None:
        raise UserError(f"none of the {len(found)} releases of {package} can be tested", MISSING)
    if skipped:
        print(f"skipped, because they cannot be tested: {', '.join(map(str, sorted(skipped)))}")
    print(_summary(boundaries, found))
    if args.write and entry and boundaries.first is not None:
        versions, since = affected_range(boundaries, found, entry)
        print(f"{ranges.write(entry, versions, since)}: {entry.id}: versions {versions}, since {since}")
    return 0


def _implementation(entry: Divergence | None, what: str) -> str:
    """Returns the first registered implementation of a divergence."""
    if entry is None:
        raise UserError(f"{what}: no divergence has this id. For a case, name an implementation with -i.")
    glob = entry.implementation.replace("[", "[[]")
    found = next((name for name in registry.registered() if fnmatchcase(name, glob)), None)
    if found is None:
        raise UserError(f"{entry.id} is about {entry.implementation}, which is not a registered implementation")
    return found


def _package(entry: Divergence | None, name: str) -> str:
    """Returns the distribution that a divergence or an implementation depends on."""
    return requirements.distribution(entry.package) if entry else requirements.own_package(registry.load(name))


def _cases(entry: Divergence | None, what: str, name: str) -> list[Case]:
    cases = load_selected([], [])
    found = cases_for(entry, registry.load(name), cases) if entry else [case for case in cases if case.id == what]
    if not found:
        raise UserError(f"{what}: no shipped case has this id or shows this divergence. `conformance list` shows them.")
    return found


def _suspect(entry: Divergence | None, found: Sequence[Version]) -> int | None:
    """Returns the newest release in the range of a divergence."""
    inside = [index for index, version in enumerate(found) if entry and entry.affects(str(version))]
    return max(inside, default=None)


def _summary(boundaries: Boundaries, found: Sequence[Version]) -> str:
    oldest, newest = found[boundaries.oldest], found[boundaries.newest]
    if boundaries.first is None or boundaries.last is None:
        return f"no tested release from {oldest} to {newest} has the deviation"
    first, last = found[boundaries.first], found[boundaries.last]
    since = f"since {first}, the oldest release that can be tested" if first == oldest else f"since {first}"
    until = f"up to {last}, the newest release that can be tested" if last == newest else f"until {last}"
    return f"{since}, {until}"


def affected_range(boundaries: Boundaries, found: Sequence[Version], entry: Divergence) -> tuple[str, ranges.Since]:
    """Returns the affected versions as a specifier, and what their lower end is.

    The bisection tests supported releases only. If the oldest one is affected, an older release that the entry names
    remains the lower end.
    """
    assert boundaries.first is not None
    assert boundaries.last is not None
    first, last = found[boundaries.first], found[boundaries.last]
    if boundaries.first > boundaries.oldest:
        since: ranges.Since = "first affected"
    else:
        since = "oldest tested"
        named = (clause.version for clause in SpecifierSet(entry.versions) if clause.operator == ">=")
        first = min([first, *map(Version, named)])
    return (f"=={first}" if first == last else f">={first},<={last}"), since

"""Starts implementations in environments that are created on demand."""

import sys

from conformance.adapters import installed, registry
from conformance.environments import environment, releases, requirements
from conformance.environments.environment import Environment
from conformance.environments.requirements import Spec
from conformance.errors import UserError
from conformance.worker.client import WorkerAdapter
from conformance.worker.start import start_in_environment

_DATE = "use-releases-of"
"""File in an environment that does not start. It holds the day whose releases do."""


def start(spec: Spec) -> WorkerAdapter:
    """Starts an implementation in an environment with the requirements of a specification.

    If it does not start, newer releases of its dependencies may be the reason. It then gets an environment with the
    releases of the day on which the first named requirement was released.

    Raises:
        UserError: the environment cannot be created, or the implementation does not start in it.
    """
    newest = environment.provide(_needed(spec))
    remembered = newest.folder / _DATE
    if remembered.exists():
        return _start_dated(spec, remembered.read_text(encoding="utf-8"))
    try:
        return _start(spec, newest)
    except UserError as error:
        day = releases.release_date(spec.named[0])
        if not day:
            raise
        try:
            worker = _start_dated(spec, day)
        except UserError as second:
            print(f"{spec}: with the dependencies of {day}: {second}", file=sys.stderr)
            raise error from second
        remembered.write_text(day, encoding="utf-8")
        return worker


def _needed(spec: Spec, ranges: bool = True) -> list[str]:
    return requirements.complete(registry.load(spec.name), spec.named, ranges)


def _start_dated(spec: Spec, day: str) -> WorkerAdapter:
    worker = _start(spec, environment.provide(_needed(spec, ranges=False), day))
    print(f"{spec}: uses the dependencies of {day}, because it does not start with newer ones", file=sys.stderr)
    return worker


def _start(spec: Spec, place: Environment) -> WorkerAdapter:
    worker = start_in_environment(place.python, spec.name)
    # The name already ends with the version of the first package.
    own = requirements.provider(next(iter(worker.packages), ""), spec.named)
    worker.name += "".join(f",{requirement}" for requirement in spec.named if requirement is not own)
    return worker


def usable(spec: Spec) -> WorkerAdapter | str:
    """Returns a worker for a release of a history, or the reason why the release cannot be run.

    The worker's process is stopped, so that many releases do not take memory at once. It starts again when it is used.
    """
    try:
        worker = start(spec)
    except UserError as error:
        return str(error)
    worker.close()
    if environment.provide(_needed(spec)).yanked:
        return f"{spec.named[0]} was withdrawn (yanked) by its authors"
    return installed.missing(worker) or worker

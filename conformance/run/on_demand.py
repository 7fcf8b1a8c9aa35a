"""Starts implementations in environments that are created on demand."""

import sys

from conformance.adapters import installed, registry
from conformance.environments import environment, releases, requirements
from conformance.environments.environment import Environment
from conformance.environments.requirements import Spec
from conformance.errors import UserError
from conformance.worker.client import WorkerAdapter, start_in_environment

_DATE = "use-releases-of"
"""File in an environment that does not start. It holds the day whose releases do."""


def start(spec: Spec) -> WorkerAdapter:
    """Starts an implementation in an environment with the requirements of a specification.

    If it does not start, newer releases of its dependencies may be the reason. It then gets an environment with the
    releases of the day on which the first named requirement was released.

    Raises:
        UserError: the environment cannot be created, or the implementation does not start in it.
    """
    adapter = registry.load(spec.name)
    newest = environment.provide(requirements.complete(adapter, spec.named))
    remembered = newest.folder / _DATE
    if remembered.exists():
        day = remembered.read_text(encoding="utf-8")
        return _start(spec, environment.provide(requirements.complete(adapter, spec.named, ranges=False), day))
    try:
        return _start(spec, newest)
    except UserError as error:
        day = releases.release_date(spec.named[0])
        if not day:
            raise
        try:
            dated = environment.provide(requirements.complete(adapter, spec.named, ranges=False), day)
            worker = _start(spec, dated)
        except UserError as second:
            print(f"{spec}: with the dependencies of {day}: {second}", file=sys.stderr)
            raise error from second
        remembered.write_text(day, encoding="utf-8")
        return worker


def _start(spec: Spec, place: Environment) -> WorkerAdapter:
    if place.before:
        old = f"the dependencies of {place.before}, because it does not start with newer ones"
        print(f"{spec}: uses {old}", file=sys.stderr)
    worker = start_in_environment(place.python, spec.name)
    # The name already ends with the version of the first package.
    first, *_ = worker.requires or tuple(worker.packages) or ("",)
    own = requirements.provider(first, spec.named)
    worker.name += "".join(f",{requirement}" for requirement in spec.named if requirement is not own)
    return worker


def usable(spec: Spec) -> WorkerAdapter | str:
    """Returns a worker for a release of a history, or the reason why the release cannot be run.

    The worker's process is stopped, so that many releases do not take memory at once. It starts again when it is used.
    """
    try:
        adapter = registry.load(spec.name)
        worker = start(spec)
    except UserError as error:
        return str(error)
    worker.close()
    if environment.provide(requirements.complete(adapter, spec.named)).yanked:
        return f"{spec.named[0]} was withdrawn (yanked) by its authors"
    return installed.missing(worker) or worker

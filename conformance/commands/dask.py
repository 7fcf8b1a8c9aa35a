"""``--dask``: the cluster on which a command runs its cases."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.adapters import Adapter
from conformance.errors import MISSING, UserError
from conformance.run import implementations
from conformance.worker.client import Limits

if TYPE_CHECKING:  # distributed is an extra.
    from conformance.run.cluster import Cluster


@dataclass(frozen=True)
class Place:
    """Place in which a command runs its cases.

    Attributes:
        adapters: the implementations that can run there.
        absent: the reasons why the others cannot.
        cluster: the cluster; None for this machine.
        lacking: for each worker of the cluster, why it gets no cases of some implementations that others run.
    """

    adapters: Sequence[Adapter]
    absent: Mapping[str, str]
    cluster: "Cluster | None" = None
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@contextlib.contextmanager
def find_place(
    args: argparse.Namespace, loaded: Sequence[Adapter], limits: Limits, cached: bool, show: Callable[[str], None]
) -> Iterator[Place]:
    """Yields the place where the cases of a command run. Connects to the cluster of ``--dask``, if any.

    Args:
        args: parsed arguments.
        loaded: the implementations, loaded on this machine.
        limits: limits of their processes.
        cached: whether workers keep compiled programs.
        show: function that prints a line.

    Raises:
        UserError: the cluster cannot be used, or an implementation that was named cannot run.
    """
    with _connected(args, loaded, limits, cached) if args.dask else contextlib.nullcontext(None) as cluster:
        if cluster:
            place = Place(cluster.usable, cluster.absent, cluster, cluster.lacking)
        else:
            place = Place(*implementations.split(loaded))
        if place.absent and (args.implementations or not place.adapters):
            raise UserError("\n".join(place.absent.values()), MISSING)
        for worker, reasons in place.lacking.items():
            for name, reason in reasons.items():
                show(f"{worker} gets no cases of {name}: {reason}")
        yield place


def _connected(args: argparse.Namespace, loaded: Sequence[Adapter], limits: Limits, cached: bool) -> "Cluster":
    try:
        from conformance.run.cluster import Cluster, Setup, absolute
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("dask", "distributed"):
            hint = "install with: pip install 'lstm-conformance[dask]'"
            raise UserError(f"--dask needs distributed, which is not installed; {hint}", MISSING) from error
        raise
    names = args.implementations or [adapter.name for adapter in loaded]
    specs = {adapter.name: absolute(name) for adapter, name in zip(loaded, names, strict=True)}
    return Cluster(args.dask, loaded, Setup(specs, limits, cached))

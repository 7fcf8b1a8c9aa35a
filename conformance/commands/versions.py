"""``conformance versions``: runs cases on several releases of a package, each in an environment of its own."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from packaging.version import Version
from rich.console import Console
from rich.text import Text

from conformance.adapters import registry
from conformance.commands import run, smoke
from conformance.commands.dask import Place
from conformance.environments import releases, requirements
from conformance.environments.requirements import Spec
from conformance.errors import MISSING, UserError
from conformance.known import divergences as known
from conformance.reports.explain import wrapped
from conformance.reports.releases import changes, release_table
from conformance.results.summary import Cell, by_implementation
from conformance.run import on_demand
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter

DEFAULT_COUNT = 8
"""Number of releases that run if the command line does not select them."""

CHECKED = (
    "torch.nn.LSTM",
    "keras.layers.LSTM[tensorflow]",
    "tf.raw_ops.BlockLSTM",
    "flax.linen.LSTMCell",
    "jax.experimental.rnn.lstm_ref",
    "onnxruntime",
    "onnx.reference",
    "openvino[onnx]",
    "opencv.dnn",
    "MNN",
    "ncnn.LSTM",
)
"""Implementations whose range of versions ``--check`` tries."""


def execute(args: argparse.Namespace) -> int:
    """Runs the cases on each release and prints a table of features by release."""
    if args.check:
        return _check([args.name] if args.name else CHECKED, args)
    if not args.name:
        raise UserError(
            "versions needs the name of an implementation. `conformance list --implementations` shows them."
        )
    package = args.package or requirements.own_package(registry.load(args.name))
    count = args.last or (None if args.first or args.to else DEFAULT_COUNT)
    chosen = releases.select(available(package), args.first, args.to, args.each_minor, count)
    if not chosen:
        raise UserError(
            f"no supported release of {package} is in this range. `pip index versions {package}` lists all."
        )
    others = requirements.named(args.others)
    specs = {str(version): Spec(args.name, (requirements.exactly(package, version), *others)) for version in chosen}
    workers, absent = start_all(specs)
    for version, reason in absent.items():
        print(f"{package} {version} is not run: {reason}")
    if not workers:
        raise UserError(f"none of the {len(chosen)} releases of {package} can run", MISSING)
    return _run(args, package, workers, specs, {f"{package} {version}": reason for version, reason in absent.items()})


def available(package: str) -> list[Version]:
    """Returns the releases that can be installed here and that the suite supports, the oldest first."""
    return requirements.supported(package, releases.available(package))


def start_all(specs: Mapping[str, Spec]) -> tuple[dict[str, WorkerAdapter], dict[str, str]]:
    """Returns the workers of the releases that can run, and the reasons why the others cannot, by version."""
    found = {version: on_demand.usable(spec) for version, spec in specs.items()}
    workers = {version: worker for version, worker in found.items() if isinstance(worker, WorkerAdapter)}
    return workers, {version: reason for version, reason in found.items() if isinstance(reason, str)}


def _run(
    args: argparse.Namespace,
    package: str,
    workers: Mapping[str, WorkerAdapter],
    specs: Mapping[str, Spec],
    absent: Mapping[str, str],
) -> int:
    args.implementations = [str(specs[version]) for version in workers]
    for worker in workers.values():
        worker.limits = run.limits(args)
    request = run.make_request(args, Place(list(workers.values()), absent), sys.stdout)
    interrupted, _ = run.run_plan(request)
    written = run.write_reports(request, interrupted)
    grouped = by_implementation(written.report.results, written.report.planned)
    table = {version: grouped[worker.name] for version, worker in workers.items()}
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"\n{args.name} by release of {package}", style="bold"))
    for line in release_table(table, console.width):
        console.print(line)
    console.print(Text("\nChanges", style="bold"))
    for text in [*changes(table)] or ["none between these releases"]:
        console.print(Text(wrapped(text, "  ", console.width)))
    run.print_files(request, written)
    print(f"releases: {written.page}#/releases")
    return written.code


def _check(names: Sequence[str], args: argparse.Namespace) -> int:
    """Prints a row for the oldest, the newest and two releases in between of each implementation's package."""
    print("| implementation | release | ten cases of `conformance smoke` |\n|---|---|---|")
    failed = False
    runner = Runner(Oracle(None) if args.no_cache else Oracle(), known.shipped(), diagnoses=False)
    for name in names:
        adapter = registry.load(name)
        package = args.package or requirements.own_package(adapter)
        for version in _spread(available(package)):
            worker = on_demand.usable(
                Spec(name, (requirements.exactly(package, version), *requirements.named(args.others)))
            )
            if isinstance(worker, str):
                print(f"| `{name}` | {package} {version} | cannot run: {worker.splitlines()[0]} |", flush=True)
                failed = True
                continue
            results = [runner.check(case, worker) for case, _ in smoke.steps()]
            worker.close()
            cell = Cell.of(results)
            print(f"| `{name}` | {package} {version} | {cell} |", flush=True)
            for result in results:
                if result.deviates:
                    print(f"{result.status} {result.id}: {result.reason}", file=sys.stderr)
            failed |= cell.deviates
    return int(failed)


def _spread(found: Sequence[Version]) -> list[Version]:
    """Returns the oldest, the newest and two releases at equal distances in between."""
    last = len(found) - 1
    return [found[index] for index in sorted({0, last // 3, 2 * last // 3, last})] if found else []

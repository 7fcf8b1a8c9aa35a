"""``conformance convert``: converts the LSTMs of a checkpoint to another framework's file."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from rich.console import Console
from rich.text import Text

from conformance.conversion.check import check
from conformance.conversion.convert import Converted, Joins, collect, convert_one, others, reassemble
from conformance.conversion.files import formats
from conformance.conversion.files.contents import Contents
from conformance.conversion.find import find, recognize, select, with_options
from conformance.conversion.framework import Framework, Tensors
from conformance.conversion.frameworks import FRAMEWORKS, check_forget_bias, framework
from conformance.conversion.lstm import Lstm
from conformance.errors import MISSING, UserError
from conformance.results.summary import format_error_ratio


def execute(args: argparse.Namespace) -> int:
    """Shows the LSTMs of the source, converts and checks them, and writes the target."""
    console = Console(highlight=False, soft_wrap=True)
    target = _target(args)
    if args.source.resolve() == args.target.resolve():
        raise UserError(f"{args.target}: source and target are the same file")
    contents = formats.read(args.source)
    source, found = _find(args, contents)
    check_forget_bias(args.forget_bias, source, target)
    chosen = select(found, args.layers)
    lstms = Joins(args.bidirectional, args.stack).apply(chosen)
    rest = others(contents.tensors, chosen)
    _show_found(console, args, source, found, chosen, rest)
    results = [convert_one(lstm, target) for lstm in lstms]
    for note in dict.fromkeys([*contents.notes, *(note for result in results for note in result.notes)]):
        console.print(Text(f"note: {note}", style="yellow"))
    data = _encode(args, results, rest if args.all else {})
    results = _read_back(args, target, results, data)
    if args.check and not _verify(console, args, results, (source, target)):
        return 1
    formats.store(args.target, data)
    console.print(Text(f"wrote {args.target}: weights of {target.layer}"))
    if not args.check:
        command = shlex.join(["conformance", *args.typed, "--check"])
        console.print(Text(f"not verified. To run both frameworks with these weights:\n  {command}"))
    return 0


def _target(args: argparse.Namespace) -> Framework:
    """Returns the framework to convert to: the one named, or the only one of the target's file format."""
    possible = formats.format_of(args.target).frameworks
    name = args.to or (possible[0] if len(possible) < len(FRAMEWORKS) else "")
    if not name:
        raise UserError(f"{args.target}: a file of this format can hold the weights of any framework. Add `--to NAME`")
    found = framework(name, args.forget_bias)
    if name not in possible:
        raise UserError(f"{args.target}: this format holds weights of {' or '.join(possible)}, not of {name}")
    return found


def _find(args: argparse.Namespace, contents: Contents) -> tuple[Framework, list[Lstm]]:
    """Returns the source's framework and its LSTMs, with the options that the file records."""
    possible = [FRAMEWORKS[name] for name in formats.format_of(args.source).frameworks]
    try:
        if name := args.source_framework or contents.framework:
            source = framework(name, args.forget_bias)
            found = find(contents.tensors, source)
        else:
            source, found = recognize(contents.tensors, possible)
        return source, with_options(found, contents.options)
    except UserError as error:
        raise UserError(f"{args.source}: {error}", error.exit_code) from error


def _show_found(
    console: Console,
    args: argparse.Namespace,
    source: Framework,
    found: Sequence[Lstm],
    chosen: Sequence[Lstm],
    rest: Tensors,
) -> None:
    """Prints the LSTMs of the source, and what happens to its other tensors."""
    console.print(Text.assemble((str(args.source), "bold"), f": weights of {source.layer}"))
    names = {lstm.name for lstm in chosen}
    for lstm in found:
        skipped = "" if lstm.name in names else "  (not selected)"
        console.print(Text(f"  {lstm.name or '(no name)'}  {lstm.describe()}{skipped}"))
    if rest:
        what = "copied unchanged" if args.all else "left out; --all copies them unchanged"
        console.print(Text(f"  {len(rest)} other tensors, {what}", style="dim"))


def _encode(args: argparse.Namespace, results: Sequence[Converted], copied: Tensors) -> formats.Data:
    """Returns the content of the target file.

    Raises:
        UserError: the format cannot hold the weights.
    """
    if copied and formats.format_of(args.target).write is None:
        raise UserError(f"{args.target}: a file of this format holds LSTMs only. Leave out --all")
    return formats.encode(args.target, collect(results, copied), [result.after for result in results])


def _read_back(
    args: argparse.Namespace, target: Framework, results: Sequence[Converted], data: formats.Data
) -> list[Converted]:
    """Returns the conversions as the content of the target file reads.

    LSTMs are matched by name, or by position in files without names.

    Raises:
        RuntimeError: the file holds other weights than those written.
    """
    contents = formats.format_of(args.target).decode(args.target.name, data)
    units = {lstm.name: lstm for lstm in with_options(target.find(contents.tensors, sure=True), contents.options)}
    rest = iter(units.values())
    reread = []
    for result in results:
        if all(name in units for name in result.units):
            parts = [units[name] for name in result.units]
        else:
            model = result.after.model
            parts = list(islice(rest, model.num_layers * model.num_directions))
        after = reassemble(parts, result.after)
        if not after.equals(result.after):
            raise RuntimeError(f"{args.target}: the file does not hold the weights of {result.after.name} as written")
        reread.append(replace(result, after=after))
    return reread


def _verify(
    console: Console, args: argparse.Namespace, results: Sequence[Converted], frameworks: Sequence[Framework]
) -> bool:
    """Runs both frameworks, prints the outcomes, and returns whether all conform.

    Raises:
        UserError: a framework cannot run the weights.
    """
    outcomes = check(results, frameworks)
    for outcome in outcomes:
        state = "verified" if outcome.conforms else "DEVIATES" if outcome.ran else "not verified"
        text = f"error ratio {format_error_ratio(outcome.error_ratio)}" if outcome.ran else outcome.reason
        console.print(Text(f"{state}: {outcome.implementation}: {text}"))
        if outcome.ran and outcome.reason:
            console.print(Text(f"  {outcome.reason}"))
    if any(outcome.ran and not outcome.conforms for outcome in outcomes):
        console.print(Text(f"{args.target} is not written"))
        return False
    if not all(outcome.ran for outcome in outcomes):
        command = shlex.join(["conformance", *args.typed])
        raise UserError(
            f"not verified, so {args.target} is not written. Once both can run:\n  {command}\n"
            "Without --check, the file is written unverified",
            MISSING,
        )
    return True

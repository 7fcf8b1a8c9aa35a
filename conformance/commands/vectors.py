"""``conformance vectors``: writes and verifies test vectors for test suites in any language."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, load_selected, shipped_cases
from conformance.cases.select import Selection
from conformance.cases.size import SizeLimits
from conformance.defects.power import bitmasks
from conformance.defects.power.kill_matrix import View
from conformance.errors import UserError
from conformance.results import atomic
from conformance.run.rejection import describe, reason
from conformance.vectors import build, check, files, node_tests, sets
from conformance.vectors.sets import VectorSet
from conformance.verdict.oracle import Oracle, RejectedCaseError

_CUSTOM = "vectors"
"""Name of a set that is not a named one."""


def execute(args: argparse.Namespace) -> int:
    """Exports or checks vectors. Returns the exit code."""
    return _check(args) if args.action == "check" else _export(args)


def _export(args: argparse.Namespace) -> int:
    """Writes one file for each set, or the node tests of all sets."""
    selects = args.files or args.expression or args.tags or args.features or args.dtypes
    if args.sets and selects:
        raise UserError("--set cannot be combined with case files, -k, --tag, --features or --dtype")
    if args.sets:
        cases = load_all([shipped_cases()])
        wanted = {name: sets.SETS[name] for name in args.sets}
    else:
        cases = Selection(args.expression, tuple(args.tags)).cases(load_selected(args.files, args.tags))
        features = sets.parse_features(args.features.split(",")) if args.features else None
        wanted = {_CUSTOM: VectorSet(features, tuple(args.dtypes), args.max_numbers)}
    if args.format == "onnx":
        cases = [case for case in cases if node_tests.is_specified(case)]
        wanted = {name: node_tests.restrict(each) for name, each in wanted.items()}
    for name, each in wanted.items():
        selected = each.select(cases)
        if large := len(replace(each, max_numbers=None).select(cases)) - len(selected):
            print(f"left out because of more than {each.max_numbers:,} numbers: {large}")
        _write_set(args, name, selected)
    return 0


def _write_set(args: argparse.Namespace, name: str, cases: Sequence[Case]) -> None:
    if not cases:
        raise UserError("no case is selected. `conformance list` shows the cases.")
    limits = SizeLimits.of(args.max_memory, args.max_case_seconds)
    if too_large := [describe(case, reason(refusal)) for case in cases if (refusal := limits.refusal(case))]:
        raise UserError("\n".join(too_large))
    masks = _masks(cases)
    for case in cases:
        if not masks[case.key]:
            print(f"left out {case.id}: it detects no mistake")
    chosen = [case for case in cases if masks[case.key]]
    if args.minimal:
        chosen = sets.smallest(chosen, [masks[case.key] for case in chosen])
    if args.format == "onnx":
        node_tests.write(args.output, chosen, Oracle())
        print(f"{args.output / node_tests.FOLDER}: {len(chosen)} node tests")
        return
    file = build.build_file(name, chosen, [masks[case.key] for case in chosen], Oracle())
    data = files.FORMATS[args.format](file)
    path = args.output / f"{name}.{args.format}"
    atomic.write(path, data)
    content = f"{len(file.vectors)} vectors that detect {len(file.mistakes)} mistakes"
    print(f"{path}: {content}, {len(data) / 1000:.0f} kB")


def _masks(cases: Sequence[Case]) -> dict[str, int]:
    """Returns the masks of the defects that the cases detect, by the keys of the cases."""
    unknown = sum(View.of(case).key not in bitmasks.shipped_masks() for case in cases)
    if unknown:
        print(f"finding out which mistakes {unknown} cases detect", file=sys.stderr)
    masks = {}
    for case in cases:
        try:
            masks[case.key] = bitmasks.mask_of(View.of(case), default_cache())
        except RejectedCaseError as error:
            raise UserError(f"{case.file}:{case.line}: {case.name} cannot be judged: {error}") from error
    return masks


def _check(args: argparse.Namespace) -> int:
    """Prints what is wrong with each file. Returns 1 if anything is."""
    wrong = False
    for path in _vector_files(args.files):
        file = files.read(path)
        lines = list(check.find_mistakes(file, Oracle()))
        for line in lines:
            print(f"{path}: {line}")
        if not lines:
            print(f"{path}: {len(file.vectors)} vectors agree with the reference")
        wrong |= bool(lines)
    return int(wrong)


def _vector_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the vector files among files and folders."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(each for each in path.glob("*") if each.suffix.removeprefix(".") in files.FORMATS)
        found += inside if path.is_dir() else [path]
        if path.is_dir() and not inside:
            raise UserError(f"{path}: contains no vector file (.json or .safetensors)")
    return found

"""Results files made up for tests of what reads several of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.results.header import make_header
from conformance.results.reader import Report, read
from conformance.results.record import Result
from conformance.results.writer import ResultsFile


def row(case: str, status: Any = "pass", implementation: str = "mine", **more: Any) -> Result:
    """A result whose key is its case's name, unless it is given."""
    error_ratio = more.pop("error_ratio", 0.1 if status == "pass" else None)
    tensors = more.pop("tensors", {"h_n": error_ratio} if error_ratio is not None else {})
    reason = more.pop("reason", "" if status == "pass" else f"because {status}")
    key = more.pop("key", f"key of {case}")
    return Result(f"a.yaml::{case}", key, implementation, status, reason, error_ratio, tensors, **more)


def report(path: Path, *results: Result, complete: bool = True, **header: Any) -> Report:
    """A file of these results, read again."""
    names = list(dict.fromkeys(result.implementation for result in results))
    planned: Mapping[str, int] = {name: sum(result.implementation == name for result in results) for name in names}
    packages: Mapping[str, Mapping[str, str]] = {name: {"framework": "1"} for name in names}
    with ResultsFile(path, make_header(planned, packages, defects=["a", "b", "c"]) | header) as file:
        for name in names:
            file.describe(name, {"device": "cpu"})
        for result in results:
            file.add(result)
        if complete:
            file.finish(results)
    return read(path)

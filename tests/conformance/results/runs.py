"""Builds results files for the tests of commands that read several of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.results.explanation import Explanation
from conformance.results.header import Header
from conformance.results.reader import Report, read
from conformance.results.record import Result
from conformance.results.writer import ResultsFile


def row(case: str, status: Any = "pass", implementation: str = "mine", **more: Any) -> Result:
    """Returns a result. By default, the key of the case follows from its name."""
    error_ratio = more.pop("error_ratio", 0.1 if status == "pass" else None)
    tensors = more.pop("tensors", {"h_n": error_ratio} if error_ratio is not None else {})
    reason = more.pop("reason", "" if status == "pass" else f"because {status}")
    key = more.pop("key", f"key of {case}")
    return Result(f"a.yaml::{case}", key, implementation, status, reason, error_ratio, tensors, **more)


def report(
    path: Path,
    *results: Result,
    complete: bool = True,
    device: str = "cpu",
    explains: Sequence[Explanation] = (),
    **header: Any,
) -> Report:
    """Writes a results file and reads it.

    Args:
        path: path of the file.
        results: rows.
        complete: whether the file has a footer.
        device: device that the implementations' descriptions name.
        explains: explanations of failures.
        header: fields of the header to set.
    """
    names = list(dict.fromkeys(result.implementation for result in results))
    planned: Mapping[str, int] = {name: sum(result.implementation == name for result in results) for name in names}
    packages: Mapping[str, Mapping[str, str]] = {name: {"framework": "1"} for name in names}
    default = Header(planned=planned, packages=packages, defects=("a", "b", "c")).stamped()
    with ResultsFile(path, Header.model_validate(default.as_json() | header)) as file:
        for name in names:
            file.describe(name, {"device": device})
        for result in results:
            file.add(result)
        for explanation in explains:
            file.explain(explanation)
        if complete:
            file.finish(results)
    return read(path)

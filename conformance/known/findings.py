"""The known divergences as a page for those who maintain the implementations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from conformance.defects.catalogue import CATALOGUE
from conformance.known.divergences import REPRODUCTIONS, Divergence

_HEAD = """\
# Findings

Where released LSTM implementations deviate from the LSTM that they document, on x86-64 Linux. Every entry is a
*divergence* that the shipped cases show: a run reports it as `known`, any other deviation fails, and an entry whose
deviation no longer happens fails the run until it goes. Where an entry says what the deviating tensors are, a run holds
them to it, to the rounding budget; otherwise it excuses those tensors and no others.

Each reproduction is a script that needs the framework and NumPy alone. It prints what it expects and what it got, and
exits with 1 while the deviation is there and with 0 once it is gone:

    conformance repro {example} | python -

Those in JavaScript are for `node --input-type=module`, in a folder where npm installed the package.

This page is written by `conformance list --divergences --markdown`.
"""


def markdown(entries: Sequence[Divergence]) -> str:
    """The page: a table of all entries, then each with its reproduction, grouped by package."""
    ordered = sorted(entries, key=lambda entry: (entry.package.lower(), entry.id))
    example = next((each.id for each in ordered if each.reproduction.endswith(".py")), "ID")
    lines = [_HEAD.format(example=example)]
    lines += ["| module | versions | what it does |", "|---|---|---|"]
    lines += [f"| {each.package} | {_cell(each.versions)} | [{_cell(each.what)}](#{each.id}) |" for each in ordered]
    for package, group in groupby(ordered, key=lambda entry: entry.package):
        lines += ["", f"## {package}"]
        for entry in group:
            lines += ["", *_entry(entry)]
    return "\n".join(lines) + "\n"


def _entry(entry: Divergence) -> Iterable[str]:
    path = REPRODUCTIONS / entry.reproduction
    language = {"py": "python", "mjs": "javascript"}[path.suffix[1:]]
    shows = f"`{entry.error}` is raised" if entry.error else ", ".join(f"`{name}`" for name in entry.tensors)
    yield f"### {entry.id}"
    yield ""
    yield f"**{entry.what}**"
    yield ""
    yield f"- implementation: `{entry.implementation}`, {entry.package} {entry.versions}"
    yield f"- cases with {', '.join([*entry.features, *_options(entry.cases)])}"
    if entry.unless:
        yield f"- but not those with {', '.join(_options(entry.unless))}"
    yield f"- deviates: {shows}{_predicted(entry)}"
    yield f"- reason: {' '.join(entry.reason.split())}"
    yield f"- upstream: {entry.upstream}"
    yield ""
    yield f"```{language}"
    yield path.read_text(encoding="utf-8").rstrip()
    yield "```"


def _predicted(entry: Divergence) -> str:
    """What is demanded of the tensors that deviate."""
    words = {defect.id: defect.what for defect in CATALOGUE}
    parts = [f"those of an LSTM {words[name]} (`{name}`)" for name in entry.defects]
    parts += [f"within the budget of {entry.profile}"] if entry.profile else []
    parts += [f"of an error ratio of at most {entry.error_ratio:g}"] if entry.error_ratio else []
    return f"; they are {', '.join(parts)}" if parts else ""


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"`{name}: {_value(value)}`" for name, value in options.items()]


def _value(value: object) -> str:
    if isinstance(value, list):
        return " or ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

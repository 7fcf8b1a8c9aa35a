"""The page of findings: the known divergences with their reproductions, for maintainers of the implementations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from conformance.known.conditions import describe
from conformance.known.defects import descriptions
from conformance.known.divergences import REPRODUCTIONS, Divergence

_HEAD = """\
# Findings

Deviations of released LSTM implementations from the LSTM that they document, on x86-64 Linux. A run reports a recorded
divergence as `known`. Any other deviation fails. An entry whose divergence no longer happens is reported as `fixed`,
which fails too until the entry is removed. If an entry predicts the deviating tensors, a run compares them with the
prediction, within the rounding budget. Otherwise these tensors, and no others, may have any value.

Each reproduction is a script that needs only the framework and NumPy. It prints the expected and the actual result. Its
exit code is 1 if the divergence still happens, else 0:

    conformance repro {example} | python -

Run the JavaScript ones with `node --input-type=module` in a folder where npm has installed the package.

`conformance list --divergences --markdown` writes this page.
"""


def markdown(entries: Sequence[Divergence]) -> str:
    """Returns the page: a table of all entries, then each entry with its reproduction, grouped by package."""
    ordered = sorted(entries, key=lambda entry: (entry.package.lower(), entry.id))
    example = next((entry.id for entry in ordered if entry.reproduction.endswith(".py")), "ID")
    lines = [_HEAD.format(example=example)]
    lines += ["| module | versions | divergence |", "|---|---|---|"]
    lines += [
        f"| {entry.package} | {_cell(entry.versions)} | [{_cell(entry.what)}](#{entry.id}) |" for entry in ordered
    ]
    for package, group in groupby(ordered, key=lambda entry: entry.package):
        lines += ["", f"## {package}"]
        for entry in group:
            lines += ["", *_entry(entry)]
    return "\n".join(lines) + "\n"


def _entry(entry: Divergence) -> Iterable[str]:
    path = REPRODUCTIONS / entry.reproduction
    language = {"py": "python", "mjs": "javascript"}[path.suffix[1:]]
    yield f"### {entry.id}"
    yield ""
    yield f"**{' '.join(entry.what.split())}**"
    yield ""
    yield f"- implementation: `{entry.implementation}`, {entry.package} {entry.versions}"
    if required := [*entry.features, *_options(entry.cases)]:
        yield f"- cases with {', '.join(required)}"
    if entry.problem:
        yield f"- only if {' and '.join(map(describe, entry.problem))}"
    if not entry.always:
        yield "- some of these cases conform"
    if entry.tensors:
        yield f"- deviates: {', '.join(f'`{name}`' for name in entry.tensors)}{_prediction(entry)}"
    if entry.error:
        yield f"- raises: {_code(entry.error)}"
    yield f"- reason: {' '.join(entry.reason.split())}"
    yield f"- upstream: {entry.upstream}"
    yield ""
    yield f"```{language}"
    yield path.read_text(encoding="utf-8").rstrip()
    yield "```"


def _prediction(entry: Divergence) -> str:
    """Returns the clause that says what values the deviating tensors have."""
    what = descriptions()
    parts = [f"they are those of an LSTM {what[name]} (`{name}`)" for name in entry.defects]
    parts += [f"they are within the budget of {entry.profile}"] if entry.profile else []
    parts += ["their finite elements conform"] if entry.nan else []
    parts += [f"their error ratio is at most {entry.error_ratio:g}"] if entry.error_ratio else []
    return "".join(f"; {part}" for part in parts)


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"`{name}: {_value(value)}`" for name, value in options.items()]


def _value(value: object) -> str:
    if isinstance(value, list):
        return " or ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

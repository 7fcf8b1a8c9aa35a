"""The page of findings: the known divergences with their reproductions, for maintainers of the implementations."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby

from conformance.known.conditions import describe
from conformance.known.defects import descriptions
from conformance.known.divergences import REPRODUCTIONS, Divergence
from conformance.known.issue import LANGUAGES, affected
from conformance.known.severity import SEVERITIES, severity

_HEAD = """\
# Findings

{count} deviations of released LSTM implementations from the LSTM that they document, on x86-64 Linux, by package and
severity. Each has a reproduction, a script that needs only the framework and NumPy. It prints the expected and the
actual result, and exits with 1 if the deviation occurs, else with 0:

    conformance repro {example} | python -
    conformance repro {example} --issue        # a report that is ready to file
    conformance bisect {example}               # the first and the last affected release

{reported} of them are reported upstream. For the others, the issue trackers were searched by symptom. Each entry names
the month of the last search.
"""

_EXPLANATION = """
## How to read the entries

A run reports a recorded divergence as `known`. Any other deviation fails. If a divergence no longer occurs, it is
reported as `fixed`, which also fails until the entry is removed. An entry predicts the deviating tensors, and a run
compares them with the prediction, within the rounding budget. If values *cannot be predicted*, only these tensors may
have any value.

`affected` is the range of versions in which the deviation was found. *The oldest release tested* is the oldest one that
the suite can run here. *Or earlier* means that no earlier release was tested. [Releases](releases.md) describes the
search. `upstream` is a report of this deviation, or the month in which none was found. Threads about its cause are
`related`. `recorded` is the day on which the entry was added.

Run the JavaScript reproductions with `node --input-type=module` in a folder where npm has installed the package. The
one on WebGL also needs Chromium. Those in C++ start with the command that compiles them.

`conformance list --divergences --markdown` writes this page.
"""


_NEWEST = 10
"""Number of findings in the list of the newest."""


def markdown(entries: Sequence[Divergence]) -> str:
    """Returns the page: the overview, then each entry with its reproduction, by package."""
    lines = [overview(entries)]
    for package, group in groupby(_ordered(entries), key=lambda entry: entry.package):
        lines += ["", f"## {package}"]
        for entry in group:
            lines += ["", f"### {entry.id}", "", *details(entry)]
    return "\n".join(lines) + "\n"


def overview(entries: Sequence[Divergence], pages: str = "") -> str:
    """Returns the counts, the findings of each severity in one line each, and how to read the entries.

    Args:
        entries: the divergences.
        pages: folder with a page for each entry, to which the overview links; by default, it links to the headings of
            the same page.
    """
    ordered = _ordered(entries)
    example = next((entry.id for entry in ordered if entry.reproduction.endswith(".py")), "ID")
    reported = sum(entry.is_reported for entry in ordered)
    lines = [_HEAD.format(count=len(ordered), example=example, reported=reported)]
    lines += [*_counts(ordered, linked=not pages), "", *_newest(ordered, pages)]
    for each in SEVERITIES:
        found = [entry for entry in ordered if severity(entry) == each]
        lines += ["", f"## {_heading(each)}", ""]
        lines += [f"- `{entry.implementation}`: [{_line(entry.what)}]({_address(entry, pages)})" for entry in found]
    return "\n".join([*lines, _EXPLANATION.rstrip()])


def _ordered(entries: Iterable[Divergence]) -> list[Divergence]:
    """Sorts by package, and the entries of a package by the day on which they were recorded, the newest first."""
    return sorted(entries, key=lambda entry: (entry.package.lower(), -_day(entry).toordinal(), entry.id))


def _day(entry: Divergence) -> date:
    return entry.found or date.min


def _newest(entries: Sequence[Divergence], pages: str) -> Iterable[str]:
    """Yields links to the newest findings by day, and the number of others of the last of these days."""
    by_age = sorted(entries, key=_day, reverse=True)
    yield "The newest:"
    yield ""
    for day, found in groupby(by_age[:_NEWEST], key=_day):
        links = [f"[{entry.id}]({_address(entry, pages)})" for entry in found]
        others = sum(_day(entry) == day for entry in by_age) - len(links)
        yield f"- {day}: {', '.join(links)}" + (f" and {others} others" if others else "")


def _address(entry: Divergence, pages: str) -> str:
    return f"{pages}/{entry.id}.md" if pages else f"#{entry.id}"


def _counts(entries: Sequence[Divergence], linked: bool) -> Iterable[str]:
    """Yields the table of counts by package and severity. The packages with the worst findings come first."""
    found = Counter((entry.package, severity(entry)) for entry in entries)
    rows = {package: [found[package, each] for each in SEVERITIES] for package, _ in found}
    heads = [f"[{each}](#{each.lower().replace(' ', '-')})" for each in SEVERITIES]
    yield f"| package | {' | '.join(heads)} | all |"
    yield "|---|" + "---:|" * (len(heads) + 1)
    for package, counts in sorted(rows.items(), key=lambda row: [-count for count in row[1]]):
        yield f"| {f'[{package}](#{_anchor(package)})' if linked else package} | {_cells(counts)} |"
    yield f"| all | {_cells([sum(column) for column in zip(*rows.values(), strict=True)])} |"


def _cells(counts: Sequence[int]) -> str:
    return " | ".join(str(count or "") for count in [*counts, sum(counts)])


def _heading(text: str) -> str:
    return text[0].upper() + text[1:]


def _anchor(heading: str) -> str:
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _line(text: str) -> str:
    return " ".join(text.split())


def details(entry: Divergence) -> Iterable[str]:
    """Yields the lines of an entry below its heading: what deviates, where, since when, why, and its reproduction."""
    path = REPRODUCTIONS / entry.reproduction
    yield f"**{_line(entry.what)}**"
    yield ""
    yield f"- severity: {severity(entry)}"
    yield f"- implementation: `{entry.implementation}`"
    yield f"- affected: {entry.package} {affected(entry)}"
    if entry.history:
        yield f"- history: {_line(entry.history)}"
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
    if entry.accepts:
        yield "- accepts what it must refuse"
    yield f"- reason: {_line(entry.reason)}"
    yield f"- upstream: {entry.upstream}"
    if entry.related:
        yield f"- related: {', '.join(entry.related)}"
    if entry.found:
        yield f"- recorded: {entry.found}"
    yield ""
    yield f"```{LANGUAGES[path.suffix]}"
    yield path.read_text(encoding="utf-8").rstrip()
    yield "```"


def _prediction(entry: Divergence) -> str:
    """Returns the clause that says what values the deviating tensors have."""
    what = descriptions()
    parts = [f"they are those of an LSTM {what[name]} (`{name}`)" for name in entry.defects]
    parts += [f"they are within the budget of {entry.profile}"] if entry.profile else []
    parts += ["their finite elements conform"] if entry.nan else []
    parts += [f"their error ratio is at most {entry.error_ratio:g}"] if entry.error_ratio else []
    parts += [f"they cannot be predicted: {_line(entry.unpredictable)}"] if entry.unpredictable else []
    return "".join(f"; {part}" for part in parts)


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"`{name}: {_value(value)}`" for name, value in options.items()]


def _value(value: object) -> str:
    if isinstance(value, list):
        return " or ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"

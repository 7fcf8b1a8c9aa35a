"""The page of findings, reports to maintainers, severities, and writing a range."""

from datetime import date
from pathlib import Path

import pytest

from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.known import findings, issue, ranges
from conformance.known.severity import SEVERITIES, severity

ENTRIES = {entry.id: entry for entry in known.shipped()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("opencv-clip", "silently wrong result or gradient"),
        ("openvino-layout", "silently wrong result or gradient"),
        ("paddle-no-bias-crash", "crash"),
        ("tract-symbolic-batch", "crash"),
        ("paddle-no-bias-raises", "documented option refused"),
        ("openvino-float64", "less precise than requested"),
        ("keras-torch-hard-sigmoid", "less precise than requested"),
        ("flax-nan-in-padding", "NaN semantics"),
        ("mnn-nan", "NaN semantics"),
    ],
)
def test_severity(name: str, expected: str) -> None:
    assert severity(ENTRIES[name]) == expected


def test_the_page_counts_every_finding_and_links_to_it() -> None:
    page = findings.markdown(list(ENTRIES.values()))
    total = page[page.index("\n| all |") :].splitlines()[1].split("|")
    counts = [sum(severity(entry) == each for entry in ENTRIES.values()) for each in SEVERITIES]
    assert [int(cell) for cell in total[2:-1]] == [*counts, len(ENTRIES)]
    sections = page[page.index(f"\n## {SEVERITIES[0][:8].capitalize()}") :]
    for name in ENTRIES:
        assert sections.count(f"(#{name})") == 1
        assert page.count(f"\n### {name}\n") == 1


def test_the_page_starts_with_the_newest_findings() -> None:
    some = [entry.model_copy(update={"found": None}) for entry in ENTRIES.values()]
    later, latest = date(2026, 12, 1), date(2026, 12, 2)
    some[:3] = [
        entry.model_copy(update={"found": day}) for entry, day in zip(some, (later, latest, later), strict=False)
    ]
    page = findings.markdown(some)
    first, second, third = (f"[{entry.id}](#{entry.id})" for entry in some[:3])
    assert f"The newest:\n\n- {latest}: {second}\n- {later}: {first}, {third}\n" in page


def test_other_findings_of_the_last_day_are_counted() -> None:
    page = findings.markdown([entry.model_copy(update={"found": date(2026, 12, 1)}) for entry in ENTRIES.values()])
    (line,) = [line for line in page.splitlines() if line.startswith("- 2026-12-01: ")]
    assert line.endswith(f" and {len(ENTRIES) - line.count('](#')} others")
    assert line.count("](#") == 10


def test_every_entry_names_the_day_on_which_it_was_recorded() -> None:
    assert [name for name, entry in ENTRIES.items() if entry.found is None] == []


def test_the_newest_findings_of_a_package_come_first() -> None:
    old, new = (
        ENTRIES["opencv-clip"].model_copy(update={"id": id, "found": date(2026, 12, day)})
        for id, day in (("a", 1), ("b", 2))  # noqa: A001
    )
    page = findings.markdown([old, new])
    assert page.index("### b") < page.index("### a")


@pytest.mark.parametrize(
    ("versions", "since", "expected"),
    [
        (">=3.1,<=3.15.1", "first affected", "since 3.1, up to 3.15.1"),
        (">=3.1,<=3.15.1", "oldest tested", "since 3.1 or earlier, the oldest release tested, up to 3.15.1"),
        (">=3.1,<=3.15.1", None, "since 3.1 or earlier, up to 3.15.1"),
        ("<=2.13.0", None, "since an unknown release, up to 2.13.0"),
        (">=3.1,<3.4", "first affected", "since 3.1, fixed in 3.4"),
        ("==3.1", "first affected", "since 3.1, up to 3.1"),
    ],
)
def test_affected_versions_in_words(versions: str, since: ranges.Since | None, expected: str) -> None:
    entry = ENTRIES["opencv-clip"].model_copy(update={"versions": versions, "since": since})
    assert issue.affected(entry) == expected


def test_a_report_has_everything_that_maintainers_ask_for() -> None:
    entry = ENTRIES["onnxruntime-clip"]
    report = issue.markdown(entry, {"onnxruntime": "1.30.0", "Python": "3.12"}, "h: 0.5\n")
    assert report.startswith("# onnxruntime: clip bounds the arguments of the gates")
    script = (known.REPRODUCTIONS / entry.reproduction).read_text()
    for part in ("- onnxruntime 1.30.0\n", script, "h: 0.5\n", issue.affected(entry), "The CPU kernel calls h on"):
        assert part in report
    assert f"## Related reports\n\n- {entry.upstream}" in report
    assert "## Related" not in issue.markdown(ENTRIES["opencv-clip"], {}, "")


ENTRY = """\
# A comment.
divergences:
  - id: other
    versions: "<=2"
  - id: opencv-clip
    versions: "<=1" # comment
    since: oldest tested
    what: w
  - <<: *other
    id: inherits
    what: w
"""


def test_writes_the_range_of_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "FOLDER", tmp_path)
    (tmp_path / "some.yaml").write_text(ENTRY)
    assert ranges.write(ENTRIES["opencv-clip"], ">=4.13,<=5.0", "first affected") == "some.yaml"
    new = '    versions: ">=4.13,<=5.0"\n    since: first affected\n'
    assert (tmp_path / "some.yaml").read_text() == ENTRY.replace(
        '    versions: "<=1" # comment\n    since: oldest tested\n', new
    )
    inherits = ENTRIES["opencv-clip"].model_copy(update={"id": "inherits"})
    with pytest.raises(UserError, match="inherits its versions"):
        ranges.write(inherits, ">=1", "first affected")

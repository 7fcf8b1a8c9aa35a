import base64
import gzip
import hashlib
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.cli import main
from conformance.errors import UserError
from conformance.known.divergences import shipped
from conformance.reports.page import write as html
from conformance.reports.page.data import details, overview
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.writer import ResultsFile

PASSED = Result(
    "a.yaml::one", "k1", "fake", "pass", error_ratio=0.25, tensors={"h_n": 0.25}, features=("layers", "float32"),
    tags=("core",), dtype="float32", line=3, options={"input_size": 3}, detects=2, detected="5",
)  # fmt: skip
FAILED = replace(
    PASSED, case="a.yaml::two", key="k2", status="fail", reason="h_n is off", error_ratio=math.inf,
    detects=None, detected="",
    tensors={"h_n": math.inf, "c_n": 1.0001}, details={"h_n": {"reason": "h_n is off", "got": math.nan}},
    diagnosis="behaves exactly like …", causes={"one": "whose gates are read i, o, f, g"}, options={"input_size": 4},
)  # fmt: skip
KNOWN = replace(FAILED, implementation="other", status="known", reason=f"{shipped()[0].id}: It errs.", details={})
HOSTILE = "<script>alert(1)</script><!--\"'></style>\u202e\u0000\x1b{{style}}\ud800"


def make_report(*results: Result, complete: bool = True, **header: Any) -> Report:
    default = Header(
        planned={"fake": 2, "other": 1}, packages={"fake": {"numpy": "2"}}, defects=("one", "two", "three")
    ).stamped()
    head = Header.model_validate(default.as_json() | header)
    return Report(Path("r.jsonl"), head, {"fake": {"device": "cpu"}}, results, Footer() if complete else None)


ALL = make_report(PASSED, FAILED, KNOWN)


class Page(HTMLParser):
    """Parses a page: its elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        del tag
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self.inside] = self.texts.get(self.inside, "") + data

    @property
    def policy(self) -> str:
        (content,) = (each.get("content") for _, each in self.elements if "http-equiv" in each)
        return content or ""

    def block(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self.texts[name])))


def test_the_page_loads_nothing() -> None:
    for tag, attributes in Page(html.render(ALL)).elements:
        assert not {"src", "srcset", "action", "style"} & attributes.keys(), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith(("#", "data:"))


def test_the_policy_allows_only_the_script_and_the_style_of_the_page() -> None:
    page = Page(html.render(ALL))

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(page.texts["script"])
    assert rules["style-src"] == digest(page.texts["style"])
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.policy


def test_no_script_converts_text_to_markup() -> None:
    for name in html.SCRIPTS:
        text = (html.FILES / f"{name}.js").read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(", text
        )
        assert "</script" not in text.lower()


def test_each_script_imports_only_from_earlier_ones() -> None:
    exported: dict[str, set[str]] = {}
    for name in html.SCRIPTS:
        text = (html.FILES / f"{name}.js").read_text()
        for names, source in re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', text, re.MULTILINE):
            assert {each.strip() for each in names.split(",")} <= exported[source], (name, source)
        assert len(re.findall("^import", text, re.MULTILINE)) == len(re.findall(html._IMPORT, text))
        exported[name] = set(re.findall(r"^export (?:async )?(?:function|const|let) (\w+)", text, re.MULTILINE))
    assert {path.stem for path in html.FILES.glob("*.js")} == set(html.SCRIPTS)


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_joined_scripts_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "page.js"
    path.write_text(html.script())
    subprocess.run(["node", "--check", str(path)], check=True)


def test_the_page_contains_every_row() -> None:
    page = Page(html.render(ALL))
    shown, held = page.block("overview"), page.block("details")
    assert [shown["statuses"][place] for place in shown["rows"]["status"]] == ["pass", "fail", "known"]
    assert shown["rows"]["error_ratio"] == [0.25, "inf", "inf"]
    assert [shown["cases"]["id"][place] for place in shown["rows"]["case"]] == [
        "a.yaml::one",
        "a.yaml::two",
        "a.yaml::two",
    ]
    assert [each["name"] for each in shown["implementations"]] == ["fake", "other"]
    assert shown["implementations"][0]["missed"] == [["two", ""]]
    assert shown["implementations"][1]["missed"] is None
    assert shown["causes"][0]["rows"] == [1]
    assert held["options"] == [{"input_size": 3}, {"input_size": 4}]
    place = held["rows"]["1"]["details"]["h_n"]
    assert {name: column[place] for name, column in held["deviating"].items()} == {"reason": "h_n is off", "got": "nan"}
    assert "0" not in held["rows"]
    assert [held["tensors"][place] for place in held["names"]] == [["h_n"], ["h_n", "c_n"], ["h_n", "c_n"]]
    assert held["error_ratios"][1] == ["inf", 1.01], "1.0001 is above the budget, so it must not be rounded to 1"


def test_a_cause_has_the_options_on_which_it_depends() -> None:
    unbiased = [replace(PASSED, case=f"a.yaml::unbiased-{number}", options={"bias": False}) for number in range(3)]
    biased = [replace(FAILED, case=f"a.yaml::biased-{number}", options={}) for number in range(3)]
    shown = overview(make_report(*biased, *unbiased))["causes"]
    assert [each["facts"] for each in shown] == [{"when": "bias: true (3 of 3 such cases fail, 0 of 3 others)"}]
    assert overview(ALL)["causes"][0]["facts"] == {}


def test_the_page_has_the_counts_of_campaigns() -> None:
    implementations = overview(replace(ALL, counted={"fake": {"pass": 1000}}))["implementations"]
    assert [each["counted"] for each in implementations] == [{"pass": 1000}, {}]


def test_equal_details_are_stored_once_in_columns() -> None:
    element = {
        "index": [0],
        "where": "unit 0",
        "expected": 1.0,
        "got": 2.0,
        "expected_hex": "",
        "got_hex": "",
        "budget": 0.1,
    }
    evident = {"reason": "is off", "wrong": 1, **element, "evidence": {"worst": [[[0], "unit 0"]], "not_finite": 0}}
    bare = {"reason": "has another shape"}
    one = replace(FAILED, details={"h_n": evident, "c_n": bare})
    other = replace(FAILED, implementation="other", details={"h_n": evident, "c_n": {"reason": "is missing"}})
    held = details(make_report(one, other))
    assert [held["rows"][row]["details"] for row in "01"] == [{"h_n": 0, "c_n": 1}, {"h_n": 0, "c_n": 2}]
    assert held["deviating"] == {
        "reason": ["is off", "has another shape", "is missing"],
        "wrong": [1, None, None],
        "evidence": {"worst": [[[[0], "unit 0"]], None, None], "not_finite": [0, None, None]},
    }, "the worst element is part of the evidence"


def test_known_divergences_have_their_upstream_link() -> None:
    entry = shipped()[0]
    assert overview(ALL)["divergences"][entry.id]["upstream"] == entry.upstream


def test_a_case_in_two_files_is_two_cases() -> None:
    moved = replace(PASSED, case="b.yaml::one")
    assert len(overview(make_report(PASSED, moved))["cases"]["id"]) == 2
    assert len(details(make_report(PASSED, moved))["options"]) == 2


def test_an_incomplete_or_invalid_run_is_marked() -> None:
    shown = overview(make_report(PASSED, complete=False, controls={"one": "pass", "two": "fail"}))
    assert (shown["complete"], shown["planned"], shown["invalid"]) == (False, 3, ["one"])


def test_hostile_text_changes_only_the_data_of_the_page() -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ("case", "key", "implementation", "reason", "diagnosis", "traceback", "dtype"), HOSTILE
    )
    fields |= dict.fromkeys(("notes", "features", "tags"), (HOSTILE,))
    fields |= {key: {HOSTILE: HOSTILE} for key in ("causes", "options", "unchecked")}
    bad = replace(FAILED, **fields, details={HOSTILE: {HOSTILE: HOSTILE}})
    strange = make_report(
        bad,
        suite=HOSTILE,
        selection=HOSTILE,
        specs={HOSTILE: HOSTILE},
        machine={HOSTILE: HOSTILE},
        packages={HOSTILE: {HOSTILE: HOSTILE}},
    )
    text, plain = html.render(strange), html.render(ALL)
    page, other = Page(text), Page(plain)
    assert page.elements == other.elements
    assert {name: value for name, value in page.texts.items() if name not in ("overview", "details")} == {
        name: value for name, value in other.texts.items() if name not in ("overview", "details")
    }
    assert page.block("overview")["implementations"][-1]["name"] == HOSTILE.replace("\ud800", "?")


def test_equal_results_give_equal_bytes() -> None:
    assert html.render(ALL) == html.render(ALL)


def test_the_command_writes_the_page_and_prints_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path, Header(planned={"fake": 1}, defects=("one",)).stamped()) as file:
        file.add(PASSED)
        file.finish([PASSED])
    assert main(["report", str(path), "--html", str(tmp_path / "new" / "out")]) == 0
    assert capsys.readouterr().out == f"page: {tmp_path}/new/out/index.html\n"
    assert (tmp_path / "new" / "out" / "index.html").stat().st_size < 100_000
    assert [each.name for each in (tmp_path / "new" / "out").iterdir()] == ["index.html"]


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        html.write(tmp_path / "file", ALL)


def test_the_page_says_how_power_was_measured() -> None:
    sizes = {"input_size": 16, "hidden_size": 16, "seq_len": 12, "batch": 4}
    found = overview(make_report(replace(PASSED, power_sizes=sizes), KNOWN))["implementations"]
    assert [each["measured"] for each in found] == ["measured at 16, 16, 12, 4 (I, H, T, B)", ""]

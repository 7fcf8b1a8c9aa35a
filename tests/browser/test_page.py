"""Tests of the page in a browser."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from conformance.cases.features import FEATURES
from conformance.reports.comparison import as_json
from conformance.results.compare import compare
from conformance.results.explanation import Explanation
from conformance.results.record import Result
from conformance.results.response_map import ResponseMap
from conformance.results.summary import by_implementation, table
from conformance.results.trend import trend
from tests.browser.conftest import Open, report
from tests.conformance.reports.test_markdown import BIASED

RESULT = f"#/result/wrong/{quote('cases/a.yaml::plain', safe='')}"
VIEWS = {
    "matrix": "",
    "implementation": "#/implementation/wrong",
    "cell": "#/cases/wrong/gradients",
    "case": f"#/case/{quote('cases/a.yaml::plain', safe='')}",
    "result": RESULT,
    "passed": f"#/result/faithful/{quote('cases/a.yaml::plain', safe='')}",
    "error": f"#/result/raises/{quote('cases/a.yaml::plain', safe='')}",
    "unknown": "#/unknown/view",
}

Results = tuple[Result, ...]


def go(page: Any, where: str) -> None:
    """Opens a view by its URL."""
    page.evaluate("delete document.documentElement.dataset.ready")
    page.evaluate("where => { location.hash = '#/?q='; location.hash = where || '#/' }", where)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_function(
        "view => document.documentElement.dataset.ready === view", arg=where.split("/")[1] if where else "matrix"
    )


def act(page: Any, do: Callable[..., object], *arguments: object) -> None:
    """Performs an action that changes the URL, and waits until the new view is ready."""
    page.evaluate("delete document.documentElement.dataset.ready")
    do(*arguments)
    page.wait_for_selector("html[data-ready]")


def names(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".matrix tbody th.name a").all_inner_texts()]


def cell(page: Any, name: str, feature: str) -> Any:
    line = page.locator(".matrix tbody tr").filter(has=page.get_by_role("link", name=name, exact=True))
    return line.locator(f'td[data-label="{feature}"]')


def test_the_matrix_has_the_same_counts_as_the_other_reports(page: Any, results: Results) -> None:
    for feature, cells in table(by_implementation(results)).items():
        if feature not in FEATURES:
            continue
        for name, expected in cells.items():
            shown = cell(page, name, feature).inner_text().split()
            words = [word for word in shown if "/" in word or "+" in word] or [" ".join(shown)]
            counts = [f"{expected.passed}/{expected.supported}"] if expected.supported else []
            counts += [f"+{expected.unsupported}"] if expected.unsupported else []
            if counts:
                assert words == counts, (name, feature)
            elif expected.not_run:
                assert "○" in shown, (name, feature)
            else:
                assert words == ["no data"], (name, feature)


def test_the_matrix_shows_counts_versions_power_and_upstream_links(page: Any) -> None:
    line = page.locator('.matrix tr:has(a:text-is("faithful"))').inner_text()
    assert "3 of 3" in line
    assert "numpy 2.0" in line
    assert "3 of 4" in line
    known = page.locator(".matrix td.known a.out")
    assert known.get_attribute("href").startswith("https://github.com/")
    assert known.get_attribute("rel") == "noopener noreferrer"
    assert "no data" in page.locator('.matrix tr:has(a:text-is("raises"))').inner_text()
    assert not re.search(r"\d\s*%", page.locator("#content").inner_text())


def test_how_power_was_measured_stays_in_its_cell(open_page: Open, results: Results) -> None:
    some = [replace(result, detects=None, detected="") if "plain" in result.case else result for result in results]
    page = open_page(report(tuple(some)))
    assert "measured on 2 of 3 cases" in page.locator('.matrix tr:has(a:text-is("faithful"))').inner_text()
    assert (
        page.evaluate(
            """[...document.querySelectorAll(".matrix tbody td")]
             .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.innerText)"""
        )
        == []
    )


def test_a_feature_without_results_has_no_error_ratio(open_page: Open, results: Results) -> None:
    page = open_page(report(results), "#/implementation/forward-only")
    lines = [line.inner_text() for line in page.locator("tr:has(td.feature)").all()]
    (gradients,) = (line for line in lines if line.startswith("gradients"))
    assert "no data" in gradients
    assert all("no data" not in line for line in lines if line.startswith("float32"))


def test_links_lead_from_the_matrix_to_an_element(page: Any) -> None:
    act(page, cell(page, "wrong", "gradients").locator("a").click)
    assert page.url.endswith("#/cases/wrong/gradients")
    assert "0 of 3" in page.locator(".verdict").inner_text()
    act(page, page.locator("th.case a", has_text="cases/a.yaml::plain").click)
    assert "fail" in page.locator("h1").inner_text()
    assert "hidden_size: 4" in page.locator(".code pre").all_inner_texts()[-1]
    assert page.locator("svg.chart").count() == 1
    assert page.locator("svg.heat rect").count() == 5 * 3
    first = page.locator(".elements tbody tr").first
    assert re.search(r"0x1\.[0-9a-f]{13}p", first.inner_text())
    assert "proven wrong" in first.inner_text()
    assert "float32" in page.locator(".facts", has_text="rounding profile").inner_text()
    act(page, first.locator("a").click)
    assert re.search(r"/grad\.input/\d+%2C\d+%2C\d+$", page.url)
    assert page.locator(".elements tr.chosen").count() == 1


def test_back_and_escape_return_to_the_matrix(page: Any) -> None:
    act(page, cell(page, "wrong", "gradients").locator("a").click)
    act(page, page.go_back)
    page.wait_for_selector(".matrix")
    page.keyboard.press("Escape")
    assert page.locator(".matrix").count() == 1


def test_absent_implementations_are_listed_with_their_requirements(open_page: Open, results: Results) -> None:
    section = open_page(report(results, absent={"other.LSTM": "needs other"})).locator(
        "section", has_text="Not installed"
    )
    assert section.locator("dt").all_inner_texts() == ["other.LSTM"]
    assert section.locator("dd").all_inner_texts() == ["needs other"]


def test_cases_that_a_campaign_counted_are_listed(open_page: Open, results: Results) -> None:
    page = open_page(replace(report(results), counted={"faithful": {"known": 2, "pass": 345}}))
    section = page.locator("section", has_text="Counted by campaigns")
    assert section.locator("dt").all_inner_texts() == ["faithful"]
    assert section.locator("dd").all_inner_texts() == ["2 known, 345 pass"]


def test_a_deep_link_opens_its_view(open_page: Open, results: Results) -> None:
    page = open_page(report(results), f"{RESULT}/grad.input?theme=dark")
    assert page.locator(".tensor h2 code").inner_text() == "grad.input"
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_values_of_elements_are_exact(open_page: Open, results: Results) -> None:
    wrong = next(result for result in results if result.implementation == "wrong" and result.case.endswith("plain"))
    _, where, expected, got, _, _ = wrong.details["grad.input"]["evidence"]["worst"][0]
    text = open_page(report(results), f"{RESULT}/grad.input").locator(".elements tbody tr").first.inner_text()
    assert where in text
    for value in (expected, got):
        assert value in text
        assert repr(float.fromhex(value)).replace("e-0", "e-") in text


@pytest.mark.parametrize(
    ("choose", "left"),
    [
        ({"family": "keras"}, ["keras.fake[x]"]),
        ({"status": "crash"}, ["keras.fake[x]"]),
        ({"status": "error"}, ["raises"]),
        ({"dtype": "float64", "status": "fail"}, ["wrong", "nan"]),
    ],
)
def test_filters_select_implementations(page: Any, choose: dict[str, str], left: list[str]) -> None:
    for name, value in choose.items():
        act(page, page.select_option, f"#filter-{name}", value)
        assert f"{name}={value}" in page.url
    assert names(page) == left
    assert f"{len(left)} implementation" in page.locator(".counted").inner_text()
    act(page, page.locator("a.clear").click)
    assert len(names(page)) == 8


def test_a_search_keeps_its_text_and_the_focus(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("both-ways picky")
    page.wait_for_url("**q=both-ways+picky")
    assert page.evaluate("document.activeElement.id") == "filter-q"
    page.keyboard.type("x")
    page.wait_for_url("**q=both-ways+pickyx")
    page.wait_for_selector("text=Nothing matches")
    assert page.locator("#filter-q").input_value() == "both-ways pickyx"


def test_a_heading_sorts_descending_then_ascending_then_not(page: Any) -> None:
    given = names(page)
    heading = page.locator('button[data-sort="error-ratio"]')
    act(page, heading.click)
    assert names(page)[0] == "nan"
    assert page.locator("th[aria-sort=descending]").count() == 1
    act(page, heading.click)
    assert names(page)[-1] == "nan"
    assert "sort=error-ratio" in page.url
    act(page, heading.click)
    assert names(page) == given


def test_cells_can_be_reached_with_the_keyboard(page: Any) -> None:
    first = page.locator(".matrix td.feature a[tabindex='0']")
    assert first.count() == 1
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('td.feature') !== null")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 .sub")
    assert label.split(",")[0] in page.locator("h1").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("h2")
    page.keyboard.press("Escape")
    page.wait_for_selector(".matrix")


def test_the_command_to_run_a_result_again_is_copied(open_page: Open, results: Results) -> None:
    page = open_page(report(results), RESULT, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".repro .copy").first.click()
    page.wait_for_selector(".copy:text-is('Copied')")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "conformance run cases/a.yaml -i wrong -k cases/a.yaml::plain"
    )


def test_every_view_warns_of_an_incomplete_or_invalid_run(open_page: Open, results: Results) -> None:
    controls = {"gates-read-iofg": "fail", "grad-ignores-h_n": "pass"}
    page = open_page(report(results, complete=False, controls=controls))
    for where in VIEWS.values():
        go(page, where)
        text = page.locator("#banner").inner_text()
        assert "INCOMPLETE" in text
        assert "INVALID" in text
        assert "grad-ignores-h_n" in text
        assert "gates-read-iofg" not in text


def test_a_complete_and_valid_run_has_no_warning(page: Any) -> None:
    assert page.locator("#banner").inner_text() == ""


def test_missing_data_is_shown_as_no_data(open_page: Open, results: Results) -> None:
    empty = report((), planned={"never-ran": 7})
    page = open_page(empty)
    line = page.locator(".matrix tbody tr").inner_text()
    assert line.count("no data") == 4
    assert "0" not in line
    old = [replace(result, options={}, details={}) for result in results]
    page = open_page(report(tuple(old)), RESULT)
    assert (
        "no data: this results file does not contain the options of its cases" in page.locator("#content").inner_text()
    )
    page = open_page(report(results), "#/result/wrong/no-such-case")
    assert page.locator("h1").inner_text() == "no data"


@pytest.mark.parametrize("width", [390, 1440])
def test_no_view_is_wider_than_the_screen(open_page: Open, results: Results, width: int) -> None:
    page = open_page(report(results), viewport={"width": width, "height": 844})
    for view, where in VIEWS.items():
        go(page, where)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page: Open, results: Results, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # The content security policy would block axe.
    page = open_page(report(results), color_scheme=scheme, bypass_csp=True)
    for view, where in VIEWS.items():
        go(page, where)
        found = [each for each in axe.run(page).response["violations"] if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"][:3]]) for each in found] == [], view


def test_colours_follow_the_system_and_the_button(open_page: Open, results: Results) -> None:
    page = open_page(report(results), color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    act(page, page.locator("button.theme").click)
    assert "theme=light" in page.url
    light = page.evaluate(ground)
    assert light != dark
    act(page, page.locator("button.theme").click)
    assert page.evaluate(ground) == dark


def test_print_is_light_and_has_no_filters(open_page: Open, results: Results) -> None:
    page = open_page(report(results), "#/?theme=dark")
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.locator(".matrix").is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp\u0000\u0007\x1b[31m`|&amp;\ud800</style>"


def hostile(result: Result) -> Result:
    """Returns a result in which every text is hostile."""
    return Result(
        case=f"{HOSTILE}::{HOSTILE}",
        key=HOSTILE,
        implementation=HOSTILE,
        status="fail",
        reason=HOSTILE,
        error_ratio=2.0,
        tensors={HOSTILE: 2.0, "h_n": 0.5},
        details={
            HOSTILE: {
                "reason": HOSTILE,
                "where": HOSTILE,
                "wrong": HOSTILE,
                "evidence": {
                    "worst": [[[0], HOSTILE, HOSTILE, HOSTILE, 1.0, 1.0]],
                    "histogram": [1] * 16,
                    "not_finite": 1,
                    "map": ["0f<x"],
                    "map_top": 10.0,
                    "map_axes": [HOSTILE, HOSTILE],
                    "map_of": [1, 4],
                },
            }
        },
        diagnosis=HOSTILE,
        causes={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
        traceback=HOSTILE,
        features=(HOSTILE, "float32"),
        tags=(HOSTILE,),
        dtype=HOSTILE,
        options={HOSTILE: HOSTILE, "notes": HOSTILE, "links": ["javascript:alert(3)", HOSTILE]},
        unchecked={HOSTILE: HOSTILE},
        seconds=result.seconds,
    )


def test_hostile_text_stays_text(open_page: Open, results: Results) -> None:
    bad = hostile(results[0])
    pair = {HOSTILE: HOSTILE}
    header: dict[str, Any] = {
        "suite": HOSTILE,
        "machine": pair,
        "selection": HOSTILE,
        "threads": pair,
        "packages": {HOSTILE: pair},
    }
    whole = report((bad,), **header, absent=pair, controls={HOSTILE: "pass"}, defects=[HOSTILE])
    whole = replace(whole, implementations={HOSTILE: pair})
    page = open_page(whole)

    def check_view() -> str:
        assert (
            page.locator("#head script, #banner script, #content script, #foot script, img, iframe, object").count()
            == 0
        )
        assert page.locator("a[href^='javascript' i], [onerror], [onclick], [style*=expression]").count() == 0
        text: str = page.locator("body").inner_text()
        assert "<script>alert(1)</script>" in text
        assert "\\u{202e}gnp" in text
        for character in "\u202e\u0000\u0007\x1b":
            assert character not in text
        return text

    check_view()
    page.locator(".matrix td.feature a").first.click()
    page.wait_for_selector("th.case a")
    check_view()
    page.locator("th.case a").click()
    page.wait_for_selector(".elements")
    text = check_view()
    assert "javascript:alert(3)" in text
    page.locator(".crumbs a").nth(1).click()
    page.wait_for_selector(".facts")
    check_view()


def test_releases_are_compared(open_page: Open, results: Results) -> None:
    """One case deviates in the old release only, and links to both results."""
    [good] = [result for result in results if result.implementation == "faithful" and "::plain" in result.case]
    [bad] = [result for result in results if result.implementation == "keras.fake[x]" and result.status == "known"]
    rows = [
        replace(good, implementation="lib@1.10"),
        replace(good, implementation="lib@1.9", status="known", reason=bad.reason),
    ]
    page = open_page(report(tuple(rows)))
    act(page, page.get_by_role("link", name="Releases", exact=True).click)
    assert page.locator(".releases thead th").all_inner_texts() == ["release", "1.9", "1.10"]
    assert page.locator(".releases tbody tr", has_text="changed cases").locator("td").all_inner_texts() == ["", "1"]
    [change] = page.locator(".changes li").all_inner_texts()
    assert change.startswith("1.9 → 1.10: 1 case, deviates → conforms")
    assert bad.reason.split(":")[0] in change
    assert page.locator(".trendline circle, .trendline rect").count() == 1
    act(page, page.get_by_role("link", name="in 1.9", exact=True).click)
    assert f"#/result/{quote('lib@1.9', safe='')}/" in page.url


def test_results_of_one_release_have_no_view_of_releases(page: Any) -> None:
    assert page.get_by_role("link", name="Releases", exact=True).count() == 0
    go(page, "#/releases")
    assert "conformance versions NAME" in page.locator("main").inner_text()


def test_trend_and_comparison_are_views(open_page: Open, results: Results) -> None:
    old = [replace(result, status="pass") if result.implementation == "wrong" else result for result in results]
    runs = [report(tuple(old)), report(results)]
    extra = {"trend": trend(runs).as_json(), "comparison": as_json(compare(*runs))}
    page = open_page(report(results), "#/compare", extra=extra)
    assert "3 changed rows" in page.locator("#content").inner_text()
    assert "pass → fail" in page.locator("#content").inner_text()
    page.locator("#head a", has_text="Trend").click()
    page.wait_for_selector(".trendline")
    line = page.locator(".trend tr", has=page.get_by_role("link", name="faithful", exact=True))
    assert line.locator("circle").count() == 2
    assert line.locator(".runs").inner_text().split() == ["3/3", "3/3"]
    assert "no data" in page.locator(".trend tr", has_text="raises").inner_text()


def test_the_response_map_of_an_explanation_is_a_table_with_text(open_page: Open) -> None:
    results = ("output, step 0, row 0, forward", "output, step 1, row 0, forward", "h_n, layer 0, forward, row 0")
    found = ResponseMap(
        "one row", results, {"h_0, layer 0, forward, row 0": "--x", "c_0, layer 0, forward, row 0": "+-."}, 3
    )
    failed = replace(BIASED[0], causes={})
    explanation = Explanation("fake", "unexplained", (failed.key,), responses=found)
    page = open_page(
        replace(report((failed,)), explanations=(explanation,)),
        "#/implementation/fake",
        viewport={"width": 390, "height": 800},
    )
    lines = page.locator(".responses tbody tr")
    assert lines.nth(0).locator(".screen-reader").all_text_contents() == [
        "all 2 blocks of output",
        "not: all 2 blocks of output; although it must not: h_n, layer 0, forward, row 0",
    ]
    assert "not: output, step 1, row 0, forward" in lines.nth(1).inner_text()
    assert [lines.nth(0).locator(f".{kind}").count() for kind in ("responds", "missing", "unexpected")] == [2, 2, 1]
    assert "3 further blocks" in page.locator(".responses figcaption").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_cause_is_shown_with_the_options_on_which_it_depends(open_page: Open) -> None:
    page = open_page(report(tuple(BIASED)))
    words = "when bias: true (3 of 3 such cases fail, 0 of 3 others)"
    assert words in page.locator(".causes").inner_text()
    go(page, "#/implementation/fake")
    assert words in page.locator(".causes").inner_text()

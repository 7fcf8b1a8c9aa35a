"""The documentation's links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for folder in (".", "docs", "harnesses/js", "harnesses/cpp")
    for path in (ROOT / folder).glob("*.md")
)
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _anchors(path: Path) -> set[str]:
    """Returns the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    text = _CODE_BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert not broken

"""The pictures of the documentation are legible on a narrow screen and in dark colors, and load nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

PICTURES = sorted((ROOT / "docs").glob("*.svg"))
NARROW = 358
"""Width of a picture, in pixels, on a screen of 390 pixels."""
SMALLEST_FONT = 9.0
"""Size of the smallest text there, in pixels."""


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_legible_in_every_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    width = float(ElementTree.fromstring(text).attrib["viewBox"].split()[2])
    sizes = re.findall(r"font-size[:=]\s*\"?([\d.]+)|font:[\w\s]*?([\d.]+)px", text)
    assert sizes
    assert min(float(size or other) for size, other in sizes) * NARROW / width >= SMALLEST_FONT
    assert "prefers-color-scheme: dark" in text
    assert "<title" in text or "aria-label=" in text
    assert not re.search(r"<script|<image|@import|url\((?!#)|href=\"(?!#)", text)
    assert len(text) < 200_000

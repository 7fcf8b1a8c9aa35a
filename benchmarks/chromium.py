"""Debian's Chromium without a screen, for what looks at the page: tests, benchmarks, the screenshot."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATH = shutil.which("chromium") or ""
ABSENT = "needs Chromium (apt-get install -y chromium) and Playwright (pip install playwright)"

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser() -> Iterator[Any]:
    """A running browser, as Playwright has it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PATH, args=list(_ARGUMENTS))
        try:
            yield running
        finally:
            running.close()

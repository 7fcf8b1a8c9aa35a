"""Headless Chromium for the browser tests, the benchmark of the report page, and the screenshot."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM_PATH = shutil.which("chromium") or ""
"""Path of the Chromium executable; empty if it is not installed."""
CHROMIUM_REQUIRED = "needs Chromium (apt-get install -y chromium) and Playwright (pip install playwright)"
"""Message if Chromium or Playwright is missing."""

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
    """Starts headless Chromium. Yields Playwright's ``Browser`` and closes it afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=list(_ARGUMENTS))
        try:
            yield running
        finally:
            running.close()

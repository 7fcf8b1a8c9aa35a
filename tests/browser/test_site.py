"""The documentation's site: built strictly, which checks every link, and opened in a browser without a network."""

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

pytest.importorskip("material", reason="needs the extra site")
pytest.importorskip("mkdocstrings", reason="needs the extra site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the site, with the page of a run. Returns its folder."""
    folder, report = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("report")
    (report / "index.html").write_text("a run")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "site/mkdocs.yml", "-d", str(folder)]
    environment = os.environ | {"SITE_REPORT": str(report), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Serves the site. Yields its address."""
    handler = functools.partial(_QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_the_site_has_the_copied_and_generated_pages(site: Path) -> None:
    def read(page: str) -> str:
        return (site / page / "index.html").read_text(encoding="utf-8")

    assert "Two commands" in read(".")
    assert 'id="recurrent_dropout"' in read("case-options")
    assert 'id="conformance.layer_parameters"' in read("api")
    assert "conformance repro" in read("findings")
    assert "is ignored" in read("findings/opencv-clip")
    assert read("report") == "a run"


def test_links_lead_to_pages_of_the_site_or_to_the_repository(site: Path) -> None:
    page = (site / "continuous-integration" / "index.html").read_text(encoding="utf-8")
    assert 'href="../reports/#what-changed"' in page
    assert 'href="https://github.com/OWNER/lstm-conformance/blob/main/.github/workflows/nightly.yml"' in page


def test_a_narrow_page_needs_no_other_host_and_no_sideways_scrolling(address: str, chromium: Any) -> None:
    requests: list[str] = []
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    for name in ("", "how-a-match-is-decided/", "findings/", "writing-a-case/", "case-options/", "api/"):
        page.goto(address + name)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("label[for=__search]").first.click()
    page.locator(".md-search__input").press_sequentially("peepholes")  # The theme waits for keys.
    page.locator(".md-search-result__item").first.wait_for()
    context.close()
    assert [url for url in requests if not url.startswith(address)] == []

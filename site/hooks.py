"""Pages of the site beyond ``docs/``: the README, generated references, and the report of a run.

MkDocs calls the functions whose names begin with ``on_``: https://www.mkdocs.org/dev-guide/plugins/#events.
"""

import json
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import conformance
from conformance.cases import schema
from conformance.known import divergences, findings

ROOT = Path(__file__).parents[1]
COPIED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "harnesses/js/README.md": "javascript.md",
    "harnesses/cpp/README.md": "cpp.md",
}
"""Pages that are outside ``docs/`` in the repository."""

_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the copied and the generated pages, and the style sheet."""
    for source, page in COPIED.items():
        _add(files, config, page, (ROOT / source).read_text(encoding="utf-8"))
    _add(files, config, "case-options.md", "\n".join(_case_options()))
    files.remove(files.src_uris["findings.md"])
    entries = divergences.shipped()
    _add(files, config, "findings.md", findings.overview(entries, pages="findings"))
    for entry in entries:
        _add(files, config, f"findings/{entry.id}.md", "\n".join([f"# {entry.id}\n", *findings.details(entry)]))
    _add(files, config, "api.md", "\n".join(_api()))
    _add(files, config, "site.css", (ROOT / "site" / "site.css").read_text(encoding="utf-8"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links that leave ``docs/`` to the pages of the site, or else to the repository."""
    here = next((source for source, copy in COPIED.items() if copy == page.file.src_uri), f"docs/{page.file.src_uri}")

    def follow(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        uri = COPIED.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if uri and files.get_file_from_path(uri):
            return f"{text}({posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')}{anchor or ''})"
        return (
            f"{text}({config.extra['repository']}/blob/main/{path}{anchor or ''})"
            if (ROOT / path).exists()
            else match[0]
        )

    return _LINK.sub(follow, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Copies the page of a run to ``report/``, if ``SITE_REPORT`` names the folder of a run."""
    if folder := os.environ.get("SITE_REPORT"):
        shutil.copytree(folder, Path(config.site_dir) / "report", dirs_exist_ok=True)


def _add(files: Files, config: MkDocsConfig, uri: str, content: str) -> None:
    files.append(File.generated(config, uri, content=content))


def _case_options() -> Iterator[str]:
    """Yields the page of a case's options, from the schema of case files."""
    yield "# Options of a case\n"
    yield "What each option means, what it may be, and its default. [Writing a case](writing-a-case.md) shows how.\n"
    for name in schema.options():
        option = schema.fields()[name]
        default = f"; default: `{json.dumps(option['default'])}`" if "default" in option else ""
        yield f"## `{name}`\n\n{option['description']}\n\nMust be {schema.describe(option)}{default}.\n"


def _api() -> Iterator[str]:
    """Yields the page of the public names."""
    yield "# Python names\n\n`from conformance import …` provides these names. Nothing else is public.\n"
    yield from (f"::: conformance.{name}" for name in conformance.__all__)

"""Results as a page: one HTML file that needs no network. What it looks like and does is in the folder ``page``.

Whatever results hold is hostile text until shown otherwise: it is in the file as compressed data only, the page puts
it into the document as text only, and a content-security policy lets no other script, style or request through.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.reports.page.data import details, overview
from conformance.results import atomic
from conformance.results.reader import Report

FILES = Path(__file__).parent
"""Template, styles and scripts."""

SCRIPTS = (
    "dom",
    "words",
    "data",
    "state",
    "model",
    "charts",
    "filters",
    "parts",
    "matrix",
    "implementation",
    "cases",
    "tensor",
    "result",
    "trend",
    "compare",
    "app",
)
"""The scripts, those that others import first."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def write(folder: Path, report: Report, beside: Mapping[str, Any] | None = None) -> Path:
    """Writes ``index.html`` into a folder, whole or not at all.

    Args:
        folder: where to.
        report: the results.
        beside: what else the page shows: ``trend`` of runs up to this one, ``comparison`` with an earlier one, as
            their commands print them with ``--json``.

    Returns:
        The file.

    Raises:
        UserError: it cannot be written.
    """
    path = folder / "index.html"
    atomic.write(path, render(report, beside))
    return path


def render(report: Report, beside: Mapping[str, Any] | None = None) -> str:
    """The page as text."""
    style, code = (FILES / "page.css").read_text(encoding="utf-8"), script()
    policy = (
        f"default-src 'none'; script-src '{_hash(code)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; trusted-types 'none'; require-trusted-types-for 'script'"
    )
    parts = {
        "policy": policy,
        "style": style,
        "overview": _packed(overview(report) | dict(beside or {})),
        "details": _packed(details(report)),
        "script": code,
    }
    template = (FILES / "index.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def script() -> str:
    """All scripts as one: they are modules, so what they import from each other stands above them."""
    texts = [(FILES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n{\n' + "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts) + "}\n"


def _packed(content: Any) -> str:
    """JSON, compressed, in letters that mean nothing in HTML; the same bytes for the same content."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair is no text: an address could not hold it.
    return base64.b64encode(gzip.compress(text.encode(errors="replace"), 6, mtime=0)).decode()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

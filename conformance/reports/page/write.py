"""Writes the page: one HTML file that works without a network. Template, styles and scripts are in this folder.

Results are untrusted text. The file contains them as compressed data only, the scripts add them to the document as
text only, and a content security policy blocks every other script, style and request.
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
"""Folder of the template, the styles and the scripts."""

SCRIPTS = (
    "dom",
    "words",
    "data",
    "state",
    "model",
    "charts",
    "filters",
    "parts",
    "responses",
    "matrix",
    "implementation",
    "cases",
    "tensor",
    "result",
    "releases",
    "trend",
    "compare",
    "app",
)
"""Names of the scripts. A script imports only from earlier ones."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)


def write(folder: Path, report: Report, extra: Mapping[str, Any] | None = None) -> Path:
    """Writes ``index.html`` into a folder.

    Args:
        folder: folder to write to; created if missing.
        report: the results.
        extra: ``trend`` up to this run and ``comparison`` with an earlier run, as JSON values; None to leave them out.

    Returns:
        The path of the file.

    Raises:
        UserError: the file cannot be written.
    """
    path = folder / "index.html"
    atomic.write(path, render(report, extra))
    return path


def render(report: Report, extra: Mapping[str, Any] | None = None) -> str:
    """Returns the page as text."""
    style, code = (FILES / "page.css").read_text(encoding="utf-8"), script()
    policy = (
        f"default-src 'none'; script-src '{_hash(code)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; trusted-types 'none'; require-trusted-types-for 'script'"
    )
    parts = {
        "policy": policy,
        "style": style,
        "overview": _packed(overview(report) | dict(extra or {})),
        "details": _packed(details(report)),
        "script": code,
    }
    template = (FILES / "index.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def script() -> str:
    """Joins all scripts into one, without their import and export statements and comment lines."""
    texts = [(FILES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return (
        '"use strict";\n{\n'
        + "\n".join(_EXPORT.sub("", _IMPORT.sub("", _COMMENT.sub("", text))) for text in texts)
        + "}\n"
    )


def _packed(content: Any) -> str:
    """Converts content to JSON, compressed and encoded as Base64. Equal content gives equal bytes."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # UTF-8 and URLs cannot represent lone surrogates.
    return base64.b64encode(gzip.compress(text.encode(errors="replace"), 6, mtime=0)).decode()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

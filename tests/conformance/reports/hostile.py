"""A report whose texts try to break out of every format: HTML, XML, Markdown, terminals, spreadsheets."""

from dataclasses import replace

from conformance.results.reader import Report
from tests.conformance.reports.test_markdown import FAILED, make_report, with_header

HOSTILE = (
    "=1+1 <script>alert('x')</script> ]]> &amp; \"quoted\", 'single'\n| `code` "
    "\x00\x1b[31m\x0b\ufffe \u202egnp\u2066 \ud800é 𝄞"
)

_RESULT = replace(
    FAILED,
    implementation=HOSTILE,
    reason=HOSTILE,
    diagnosis=HOSTILE,
    traceback=HOSTILE,
    notes=(HOSTILE,),
    tensors={HOSTILE: 2.0},
    details={HOSTILE: {"reason": HOSTILE}},
    causes={"a": HOSTILE},
    unchecked={"gradients": HOSTILE},
    tags=(HOSTILE,),
)


def report() -> Report:
    """Returns the report. Every field that an implementation controls is hostile."""
    plain = make_report(_RESULT, replace(_RESULT, status="error", details={}), replace(_RESULT, status="known"))
    header = {
        "planned": {HOSTILE: 3},
        "packages": {HOSTILE: {HOSTILE: HOSTILE}},
        "specs": {HOSTILE: HOSTILE},
        "selection": HOSTILE,
    }
    return replace(with_header(plain, **header), implementations={HOSTILE: {HOSTILE: HOSTILE}})

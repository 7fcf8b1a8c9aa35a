"""A report in which everything that an implementation may say is meant to break out of where it is shown."""

from dataclasses import replace

from conformance.results.reader import Report
from tests.conformance.reports.test_markdown import FAILED, make_report

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
    """All of it in every field."""
    plain = make_report(_RESULT, replace(_RESULT, status="error", details={}), replace(_RESULT, status="known"))
    header = {
        **plain.header,
        "planned": {HOSTILE: 3},
        "packages": {HOSTILE: {HOSTILE: HOSTILE}},
        "specs": {HOSTILE: HOSTILE},
        "selection": HOSTILE,
    }
    return replace(plain, header=header, implementations={HOSTILE: {HOSTILE: HOSTILE}})

"""A report of a known divergence to the maintainers of the implementation."""

from collections.abc import Mapping

from packaging.specifiers import SpecifierSet

from conformance.known.divergences import REPRODUCTIONS, Divergence

LANGUAGES = {".py": "python", ".mjs": "javascript", ".cpp": "cpp"}
"""Languages of the reproductions, by the suffix of their files."""


def markdown(entry: Divergence, versions: Mapping[str, str], output: str) -> str:
    """Returns a report that is ready to file: title, versions, script, output, affected versions and cause.

    Args:
        entry: the divergence.
        versions: versions on this machine, by name.
        output: what the script printed: the expected and the actual result.
    """
    script = REPRODUCTIONS / entry.reproduction
    what = " ".join(entry.what.split())
    threads = [*([entry.upstream] if entry.is_reported else []), *entry.related]
    return "\n".join(
        [
            f"# {entry.implementation.rstrip('*')}: {what.partition('. ')[0].rstrip('.')}",
            "",
            what,
            "",
            "## Versions",
            "",
            *(f"- {name} {version}" for name, version in versions.items()),
            "",
            "## To reproduce",
            "",
            f"```{LANGUAGES[script.suffix]}",
            script.read_text(encoding="utf-8").rstrip(),
            "```",
            "",
            "The last lines of the script compute what is expected. It exits with 1 if the deviation occurs. Output:",
            "",
            "```text",
            output.rstrip(),
            "```",
            "",
            "## Affected versions",
            "",
            f"{entry.package}: {affected(entry)}",
            *(["", " ".join(entry.history.split())] if entry.history else []),
            "",
            "## Cause",
            "",
            " ".join(entry.reason.split()),
            *(["", "## Related reports", "", *(f"- {thread}" for thread in threads)] if threads else []),
        ]
    )


def affected(entry: Divergence) -> str:
    """Returns the affected versions in words: since when and until when."""
    bounds = {clause.operator: clause.version for clause in SpecifierSet(entry.versions)}
    if "==" in bounds:
        low = high = bounds["=="]
    else:
        low, high = bounds.get(">=", ""), bounds.get("<=", "")
    notes = {"first affected": "", "oldest tested": " or earlier, the oldest release tested", None: " or earlier"}
    since = f"since {low}{notes[entry.since]}" if low else "since an unknown release"
    if high:
        return f"{since}, up to {high}"
    return f"{since}, fixed in {bounds['<']}" if "<" in bounds else since

"""Markdown elements. Untrusted text is escaped."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table. The cells must be Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Returns text as inline code that fits into a table cell."""
    return f"`{' '.join(text.split()).replace('|', chr(92) + '|').replace('`', chr(39))}`"


def text(words: str) -> str:
    """Returns text in one line. Escapes all characters that have a meaning in Markdown or HTML."""
    flat = " ".join(words.split())
    for character in "\\`*_[]<>|#":
        flat = flat.replace(character, "\\" + character)
    return flat


def block(lines: str) -> str:
    """Returns lines as a code block."""
    fence = "```"
    while fence in lines:
        fence += "`"
    return f"{fence}text\n{lines.rstrip()}\n{fence}\n"

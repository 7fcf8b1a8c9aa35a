"""Markdown's parts, in which whatever an implementation said stays text."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Between back quotes; whatever it holds stays within one cell of a table."""
    return f"`{' '.join(text.split()).replace('|', chr(92) + '|').replace('`', chr(39))}`"


def text(words: str) -> str:
    """Plain words: no HTML, no table cells, no links out of what an implementation said."""
    flat = " ".join(words.split())
    for character in "\\`*_[]<>|#":
        flat = flat.replace(character, "\\" + character)
    return flat


def block(lines: str) -> str:
    """Lines as they are."""
    fence = "```"
    while fence in lines:
        fence += "`"
    return f"{fence}text\n{lines.rstrip()}\n{fence}\n"

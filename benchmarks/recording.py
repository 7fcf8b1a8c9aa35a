"""Records commands in a terminal as an animated picture.

This command writes docs/recording.svg, the recording in the README:

    python -m benchmarks.recording docs/recording.svg

The commands run as a user would run them. Lines appear in the picture as the commands print them, but at least a tenth
of a second apart and without long pauses. Where pictures do not move, the last screen is shown.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console
from rich.style import Style
from rich.text import Text

from benchmarks.arguments import make_parser
from conformance.results.atomic import write

COMMANDS = (
    "conformance run -i torch.nn.LSTM",
    "conformance run -i mylib.py:MyLSTM -k core.yaml::one-layer",
    "ls conformance-report",
)
MYLIB = """\
from tests.broken import WrongGates

class MyLSTM(WrongGates):
    name = "mylib.MyLSTM"
"""
"""The failing implementation: torch.nn.LSTM, whose gates are read in another order."""

COLUMNS, ROWS = 60, 32
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 1.5
"""Time between two lines."""
READING_SECONDS = 6.0
"""Time for reading what a command has printed."""

_CHARACTER, _LINE, _MARGIN = 8.43, 19, 10
_STYLE = """\
svg.page { background: #f6f8fa; }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre; }
.bold { font-weight: 700; } .dim { fill: #59636e; } .red { fill: #c2241c; } .green { fill: #1a7f37; }
.prompt { fill: #0969da; font-weight: 700; }
@media (prefers-color-scheme: dark) {
  svg.page { background: #0d1117; } text { fill: #e6edf3; } .dim { fill: #9aa4af; } .red { fill: #ff7b72; }
  .green { fill: #56d364; } .prompt { fill: #79b8ff; }
}
"""
_COLORS = {1: "red", 2: "green", 4: "prompt"}
"""Classes of the style sheet, by number of the terminal's color."""


@dataclass(frozen=True)
class Line:
    """A line on the terminal.

    Attributes:
        text: its characters and their styles.
        seconds: time until the next line appears.
    """

    text: Text
    seconds: float


def record(commands: Sequence[str], folder: Path) -> Iterator[Line]:
    """Runs commands in a shell. Yields the lines that a terminal shows."""
    for command in commands:
        yield Line(Text.assemble(("$ ", "blue"), (command, "bold")), LONGEST_SECONDS)
        printed = [*_run(command, folder)]
        for (text, start), (_, end) in pairwise([*printed, (Text(), printed[-1][1])]):
            yield Line(text, min(max(end - start, SHORTEST_SECONDS), LONGEST_SECONDS))
        yield Line(Text(), READING_SECONDS)


def draw(lines: Sequence[Line]) -> str:
    """Returns the animated picture as SVG. The newest line is always the last one on the screen."""
    width, height = round(_CHARACTER * COLUMNS + 2 * _MARGIN), _LINE * ROWS + 2 * _MARGIN
    total = sum(line.seconds for line in lines)
    steps, elapsed = [], 0.0
    for number, line in enumerate(lines, 1):
        steps.append(f"{100 * elapsed / total:.2f}% {{ transform: translateY({_LINE * (ROWS - number)}px); }}")
        elapsed += line.seconds
    last = _LINE * (ROWS - len(lines))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="page" width="640" viewBox="0 0 {width} {height}"',
            '  role="img" aria-label="A terminal: torch.nn.LSTM conforms. Another LSTM fails with an explanation.">',
            f"<style>\n{_STYLE}@media (prefers-reduced-motion: no-preference) {{",
            f"  .screen {{ animation: lines {total:.1f}s step-end infinite; }}\n}}",
            "@keyframes lines {",
            *steps,
            "}</style>",
            f'<svg x="{_MARGIN}" y="{_MARGIN}" width="{width - 2 * _MARGIN}" height="{_LINE * ROWS}">',
            f'<g class="screen" transform="translate(0 {last})">',
            *(
                f'<text y="{_LINE * number + 14}">{_spans(line.text)}</text>'
                for number, line in enumerate(lines)
                if line.text
            ),
            "</g></svg>",
            "</svg>\n",
        ]
    )


def _run(command: str, folder: Path) -> Iterator[tuple[Text, float]]:
    """Runs a command. Yields each line that it prints, and when."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    terminal = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "PATH": search}
    environment = {**os.environ, **terminal, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout
        for line in shell.stdout:
            text = Text.from_ansi(line.rstrip())
            for part in text.divide(range(COLUMNS, len(text), COLUMNS)):
                yield part, time.perf_counter()


def _spans(text: Text) -> str:
    """Returns the characters of a line as SVG."""
    parts = []
    for segment in text.render(Console(color_system="standard")):
        words = escape(segment.text.strip("\n"))
        name = _classes(segment.style or Style())
        parts.append(f'<tspan class="{name}">{words}</tspan>' if name else words)
    return "".join(parts)


def _classes(style: Style) -> str:
    used = {"bold": style.bold, "dim": style.dim}
    color = _COLORS.get(style.color.number or 0, "") if style.color else ""
    return " ".join([*(name for name in used if used[name]), color]).strip()


def main() -> None:
    """Records the commands and writes the picture."""
    parser = make_parser("recording", __doc__)
    parser.add_argument("picture", type=Path, help="SVG file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "mylib.py").write_text(MYLIB)
        lines = [*record(COMMANDS, Path(scratch))]
    picture = draw(lines)
    write(args.picture, picture)
    print(f"{args.picture}: {len(picture) / 1000:.0f} kB, {sum(line.seconds for line in lines):.0f} s")


if __name__ == "__main__":
    main()

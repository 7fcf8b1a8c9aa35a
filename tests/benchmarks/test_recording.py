"""The recording shows the newest line last, and without motion its last screen."""

from pathlib import Path

from rich.text import Text

from benchmarks.recording import COLUMNS, ROWS, Line, draw, record


def test_a_command_and_its_output_are_recorded_in_the_width_of_the_terminal(tmp_path: Path) -> None:
    lines = [*record([f"printf '\\033[31m{'x' * COLUMNS}y'"], tmp_path)]
    assert [line.text.plain[:2] for line in lines] == ["$ ", "xx", "y", ""]
    assert 'class="red">y<' in draw(lines)


def test_the_picture_moves_by_one_line_at_a_time_and_stands_at_the_last() -> None:
    picture = draw([Line(Text("a & b"), 1.0), Line(Text("c"), 3.0)])
    assert "0.00% { transform: translateY(" in picture
    assert f"25.00% {{ transform: translateY({19 * (ROWS - 2)}px); }}" in picture
    assert f'<g class="screen" transform="translate(0 {19 * (ROWS - 2)})">' in picture
    assert "a &amp; b" in picture

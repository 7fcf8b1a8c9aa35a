"""The diagram of the packages in the documentation."""

from tests import architecture
from tests.conftest import ROOT


def test_the_diagram_shows_the_current_imports() -> None:
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert drawn == architecture.draw(), "run: python -m tests.architecture > docs/architecture.svg"


def test_imports_implied_by_others_are_not_drawn() -> None:
    edges = architecture.imports()
    assert edges["adapters"] == {"verdict"}
    assert edges["reference"] == frozenset()

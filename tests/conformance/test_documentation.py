"""Where the pages of the documentation are."""

from pathlib import Path

from conformance.documentation import page


def test_a_page_is_in_the_clone_or_on_the_web(tmp_path: Path) -> None:
    assert page("vectors.md") == "docs/vectors.md"
    address = page("vectors.md", tmp_path)
    assert address.startswith("https://")
    assert address.endswith("/lstm-conformance/blob/main/docs/vectors.md")

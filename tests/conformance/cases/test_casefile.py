"""Loading of case files: expansion, names and paths."""

from pathlib import Path

import pytest

from conformance.cases import schema
from conformance.cases.case import Case
from conformance.cases.casefile import CaseFileError, load, load_all, load_selected, shipped_cases
from tests.conftest import ROOT

BASE = "defaults: {input_size: 4, hidden_size: 5, seq_len: 6, batch: 3}\n"
MATRIX = BASE + "matrix:\n  dtype: [float32, float64]\n  direction: [forward, reverse, bidirectional]\n"


def cases_of(tmp_path: Path, text: str) -> list[Case]:
    file = tmp_path / "f.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, tmp_path)


def names_of(tmp_path: Path, text: str) -> list[str]:
    return [case.name for case in cases_of(tmp_path, text)]


def test_the_matrix_is_a_product_whose_last_option_varies_fastest(tmp_path: Path) -> None:
    assert names_of(tmp_path, MATRIX) == [
        "dtype:float32+direction:forward",
        "dtype:float32+direction:reverse",
        "dtype:float32+direction:bidirectional",
        "dtype:float64+direction:forward",
        "dtype:float64+direction:reverse",
        "dtype:float64+direction:bidirectional",
    ]


def test_exclude_matches_some_options_and_any_item_of_a_list(tmp_path: Path) -> None:
    text = MATRIX + "exclude:\n  - {dtype: float64, direction: [forward, reverse]}\n  - {direction: bidirectional}\n"
    assert names_of(tmp_path, text) == ["dtype:float32+direction:forward", "dtype:float32+direction:reverse"]


def test_exclude_matches_a_list_that_is_a_value_of_the_matrix(tmp_path: Path) -> None:
    text = BASE + "matrix: {hidden_size: [5, 3, [5, 3]], bias: [true, false]}\n"
    text += "exclude: [{hidden_size: [5, 3], bias: false}]\n"
    assert "hidden_size:5-3+bias:false" not in names_of(tmp_path, text)
    assert len(names_of(tmp_path, text)) == 5


def test_also_and_cases_ignore_the_matrix(tmp_path: Path) -> None:
    text = (
        MATRIX
        + "also:\n  - {lengths: [5, 1, 6]}\n  - {name: no-bias, bias: false}\ncases:\n  plain-64: {num_layers: 2}\n"
    )
    lengths, no_bias, named = cases_of(tmp_path, text)[6:]
    assert (lengths.name, lengths.lengths, lengths.dtype) == ("lengths:5-1-6", (5, 1, 6), "float32")
    assert (no_bias.name, no_bias.bias) == ("no-bias", False)
    assert (named.name, named.num_layers, named.input_size) == ("plain-64", 2, 4)


def test_values_in_names(tmp_path: Path) -> None:
    text = BASE + "matrix: {bias: [true], dropout: [0.5], lengths: [[5, 1, 6], null], check: [[output, h_n]]}"
    first, second = names_of(tmp_path, text)
    assert first == "bias:true+dropout:0.5+lengths:5-1-6+check:output-h_n"
    assert second == "bias:true+dropout:0.5+lengths:null+check:output-h_n"


def test_tags_and_links_of_file_and_case_are_joined_and_notes_are_replaced(tmp_path: Path) -> None:
    text = BASE + "tags: [a, b]\nnotes: of the file\nlinks: [https://a]\ncases:\n  one: {}\n"
    text += "  two: {bias: false, tags: [b, c], notes: own, links: [https://b]}\n"
    one, two = cases_of(tmp_path, text)
    assert (one.tags, one.notes, one.links) == (("a", "b"), "of the file", ("https://a",))
    assert (two.tags, two.notes, two.links) == (("a", "b", "c"), "own", ("https://a", "https://b"))


@pytest.mark.parametrize(
    ("default", "own", "direction"),
    [
        ("bidirectional: true", "direction: reverse", "reverse"),
        ("direction: reverse", "bidirectional: true", "bidirectional"),
        ("direction: bidirectional", "bidirectional: false", "forward"),
    ],
)
def test_direction_and_bidirectional_override_each_other_in_the_defaults(
    tmp_path: Path, default: str, own: str, direction: str
) -> None:
    text = f"defaults: {{input_size: 4, hidden_size: 5, seq_len: 6, batch: 3, {default}}}\ncases:\n  one: {{{own}}}\n"
    assert cases_of(tmp_path, text)[0].direction == direction


def test_a_case_knows_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "f.yaml"
    file.write_text(BASE + "cases:\n  one: {}\n  two: {bias: false}\n")
    assert [(case.file, case.line) for case in load(file, tmp_path)] == [("sub/f.yaml", 3), ("sub/f.yaml", 4)]
    assert load(file)[0].id == "f.yaml::one"


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match=r"none\.yaml:1:1: the file does not exist"):
        load(tmp_path / "none.yaml")
    with pytest.raises(CaseFileError, match="expected a file, not a folder"):
        load(tmp_path)
    with pytest.raises(CaseFileError, match="cannot read the file"):
        load(tmp_path / "nul\0.yaml")


def test_load_all_sorts_folders_and_loads_each_file_once(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml", "deep/c.yaml", "ignored.txt"):
        (folder / name).write_text(BASE + "cases: {one: {}}\n")
    cases = load_all([folder, folder / "a.yaml"])
    assert [case.file for case in cases] == ["mine/a.yaml", "mine/b.yaml", "mine/deep/c.yaml"]


def test_cases_on_demand_are_loaded_only_if_their_folder_is_named(tmp_path: Path) -> None:
    expensive = tmp_path / "cases" / "on-demand"
    expensive.mkdir(parents=True)
    for path in (tmp_path / "cases" / "a.yaml", expensive / "b.yaml"):
        path.write_text(BASE + "cases: {one: {}}\n")
    assert [Path(case.file).name for case in load_all([tmp_path / "cases"])] == ["a.yaml"]
    assert [Path(case.file).name for case in load_all([expensive])] == ["b.yaml"]


@pytest.mark.parametrize(("tags", "included"), [((), False), (("large",), True)])
def test_expensive_shipped_cases_are_loaded_only_if_tags_select_cases(tags: tuple[str, ...], included: bool) -> None:
    files = {case.file for case in load_selected([], tags)}
    assert "cases/large.yaml" in files
    assert ("cases/on-demand/kernels.yaml" in files) == included


def test_load_all_reports_the_mistakes_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cases: 1\n")
    (tmp_path / "b.yaml").write_text("cases: 2\n")
    (tmp_path / "none").mkdir()
    with pytest.raises(CaseFileError) as caught:
        load_all([tmp_path / "b.yaml", tmp_path, tmp_path / "none", tmp_path / "gone.yaml"])
    files = [Path(file).name for file, _ in caught.value.mistakes]
    assert files == ["b.yaml", "a.yaml", "none", "gone.yaml"]
    assert caught.value.exit_code == 2


def test_paths_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(BASE + "cases: {one: {}}\n")
    monkeypatch.chdir(tmp_path)
    assert load_all([Path("sub/a.yaml")])[0].id == "sub/a.yaml::one"
    assert load_all([shipped_cases()])[0].file.startswith("cases/")


def test_shipped_cases_are_found_in_a_checkout_and_in_an_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped_cases() == ROOT / "cases"
    installed = tmp_path / "conformance" / "_data" / "cases"
    installed.mkdir(parents=True)
    (installed / "a.yaml").write_text(BASE + "cases: {one: {}}\n")
    monkeypatch.setattr("conformance.cases.casefile.__file__", str(tmp_path / "conformance" / "cases" / "casefile.py"))
    monkeypatch.chdir(tmp_path)
    assert [case.id for case in load_all([shipped_cases()])] == ["cases/a.yaml::one"]


def test_the_documented_example_is_a_case_file_and_every_option_is_documented(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "writing-a-case.md").read_text(encoding="utf-8")
    example_file = page.split("```yaml\n")[1].split("```")[0]
    assert names_of(tmp_path, example_file)[-3:] == ["num_layers:2", "garbage", "no-bias"]
    assert not [name for name in schema.fields() if f"`{name}`" not in page.split("## How a file expands")[0]]


def test_a_symbolic_link_to_itself_is_reported(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(CaseFileError, match=r"loop\.yaml:1:1: "):
        load_all([tmp_path / "loop.yaml"])

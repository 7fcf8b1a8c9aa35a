"""Every mistake in a case file is reported once, at its position."""

from pathlib import Path

import pytest
import yaml

from conformance.cases import yamlfile
from conformance.cases.casefile import CaseFileError, load

BASE = "defaults: {input_size: 4, hidden_size: 5, seq_len: 6, batch: 3}\n"
MATRIX = BASE + "matrix:\n  dtype: [float32, float64]\n  direction: [forward, reverse, bidirectional]\n"


def mistakes_of(tmp_path: Path, text: str | bytes) -> list[str]:
    file = tmp_path / "f.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(CaseFileError) as caught:
        load(file, tmp_path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("f.yaml:") for line in lines)
    return [line.removeprefix("f.yaml:") for line in lines]


BAD: dict[str, tuple[str | bytes, list[str]]] = {
    "empty": ("", ["1:1: a case file is empty"]),
    "comment-only": ("# nothing\n", ["1:1: a case file is empty"]),
    "not-a-mapping": ("- 1\n", ["1:1: a case file must be a mapping (`key: value`)"]),
    "no-cases": (BASE, ["1:1: a case file must have a section 'matrix', 'also' or 'cases'"]),
    "syntax": ("cases:\n  one: [1, 2\n", ["3:1: invalid YAML: "]),
    "of-several-kinds-at-once": (
        BASE
        + "cases:\n  a: {hidden_siz: 5}\n  p: {proj_size: 5}\n  h: {lengths: [1, 2, 3, 4]}\n  s: {dtype: float63}\n",
        [
            "3:7: unknown key 'hidden_siz' in case 'a', did you mean 'hidden_size'?",
            "4:3: proj_size 5 must be less than hidden_size 5",
            "5:3: lengths ",
            "6:14: dtype must be ",
        ],
    ),
    "numbers-and-lists": (
        BASE + "cases:\n  a: {hidden_size: 5.0}\n  b: {activations: [sigmoid]}\n",
        ["3:20: hidden_size must be ", "4:20: activations must be a list of 3 to 6 items, each "],
    ),
    "nothing-left": (
        BASE + "matrix: {bias: [true, false]}\nexclude: [{bias: true}, {bias: false}]\n",
        ["2:1: all combinations of the matrix are excluded"],
    ),
    "sizes-per-direction": (
        BASE
        + "cases:\n  a: {reverse_hidden_size: 4}\n  b: {reverse_hidden_size: 4, bidirectional: true, proj_size: 2}\n"
        + "  c: {reverse_hidden_size: 0}\n  d: {merge_mode: sum}\n",
        [
            "3:3: reverse_hidden_size requires direction: bidirectional, not forward",
            "4:3: proj_size requires the same hidden_size in every layer and direction",
            "5:28: reverse_hidden_size must be ",
            "6:7: unknown key 'merge_mode' in case 'd': the outputs of both directions are always concatenated",
        ],
    ),
    "beyond-all-bounds": (
        BASE + "cases:\n  a: {forget_bias: 1e154}\n  b: {clip: 1e-300}\n",
        ["3:20: forget_bias must be ", "4:13: clip must be "],
    ),
    "tab": ("cases:\n\tone: {}\n", ["2:1: invalid YAML: "]),
    "not-utf-8": (b"cases:\n  caf\xe9: {}\n", ["2:6: the file is not UTF-8 text (byte 0xe9)"]),
    "binary": (b"\x7fELF\x02\x00", ["1:1: the character U+007F is not allowed"]),
    "second-document": (
        BASE + "cases: {a: {}}\n---\nb: 1\n",
        ["3:1: a file must hold only one document, a second one begins here"],
    ),
    "anchor-alias": (
        BASE + "cases:\n  one: &a {}\n  two: *a\n",
        [
            "3:8: anchors are not supported: remove &a",
            "4:8: aliases are not supported: replace *a by its value",
        ],
    ),
    "tag": (
        BASE + "cases:\n  one: {dropout: !!float 1}\n",
        ["3:18: tags are not supported: remove tag:yaml.org,2002:float"],
    ),
    "duplicate-key": (
        BASE + "cases:\n  one: {bias: true, bias: false}\n",
        ["3:21: duplicate key 'bias', first in line 3"],
    ),
    "key-not-text": (BASE + "cases:\n  1: {}\n", ["3:3: a key must be a string: put it in quotes, '1'"]),
    "too-deep": ("a: " + "[" * 20 + "]" * 20, ["1:12: nested deeper than 8 levels"]),
    "far-too-deep": ("[" * 100_000, ["1:10: nested deeper than 8 levels"]),
    "too-many-values": ("a: [" + "1," * 60_000 + "1]", ["1:99999: the file holds more than 50000 values: split it"]),
    "too-large": ("#" + "x" * 1024 * 1024, ["1:1: the file is larger than 1048576 bytes: split it"]),
    "unknown-section": (
        BASE + "case: {a: {}}\n",
        [
            "1:1: a case file must have a section 'matrix', 'also' or 'cases'",
            "2:1: unknown key 'case' in a case file, did you mean 'cases'?",
        ],
    ),
    "unknown-option": (
        BASE + "cases:\n  one: {bidirectionl: true}\n",
        ["3:9: unknown key 'bidirectionl' in case 'one', did you mean 'bidirectional'?"],
    ),
    "unknown-everywhere": (
        "defaults: {input-size: 4}\nmatrix: {dtypes: [float32]}\nalso: [{hiden_size: 3}]\n",
        [
            "1:12: unknown key 'input-size' in defaults, did you mean 'input_size'?",
            "2:10: unknown key 'dtypes' in matrix, did you mean 'dtype'?",
            "3:9: unknown key 'hiden_size' in an also entry, did you mean 'hidden_size'?",
            "3:8: an also entry must have a name or an option",
        ],
    ),
    "misplaced": (
        "defaults: {tags: [a]}\nmatrix: {notes: [a]}\ncases: {one: {name: two}}\n",
        [
            "1:12: 'tags' is not allowed in defaults",
            "2:10: 'notes' is not allowed in matrix",
            "3:15: 'name' is not allowed in case 'one'",
        ],
    ),
    "wrong-word": (
        BASE + "cases:\n  one: {direction: revers}\n",
        ["3:20: direction must be 'forward', 'reverse' or 'bidirectional', not 'revers', did you mean 'reverse'?"],
    ),
    "wrong-type-in-defaults-once": (
        MATRIX.replace("batch: 3", "batch: three"),
        ["1:62: batch must be a whole number from 0 to 65536 or 'unbatched', not 'three'"],
    ),
    "wrong-value-in-matrix-once": (
        MATRIX.replace("float64]", "float63, 1]"),
        [
            "3:20: dtype must be 'float64', 'float32', 'float16' or 'bfloat16', not 'float63', did you mean 'float64'?",
            "3:29: dtype must be 'float64', 'float32', 'float16' or 'bfloat16', not 1",
        ],
    ),
    "wrong-item-of-a-list": (
        BASE + "cases:\n  one: {hidden_size: [5, x], check: [output, h_m]}\n",
        [
            "3:26: each item of hidden_size must be a whole number from 1 to 65536, not 'x'",
            "3:46: each item of check must be 'output', 'h_n', 'c_n', 'gradients', 'jvp' or 'hvp', not 'h_m', "
            "did you mean 'h_n'?",
        ],
    ),
    "yaml-1.1-boolean": (
        BASE + "cases:\n  one: {bias: yes, bidirectional: on}\n",
        [
            "3:15: bias must be true or false, not 'yes', did you mean true?",
            "3:35: bidirectional must be true or false, not 'on', did you mean true?",
        ],
    ),
    "out-of-range": (
        BASE + "cases:\n  one: {dropout: 1.5, seq_len: -1, check: [], num_layers: 2.0, notes: null}\n",
        [
            "3:18: dropout must be a number from 0 to 1, not 1.5",
            "3:32: seq_len must be a whole number from 0 to 65536, not -1",
            "3:43: check must be a list, each 'output', 'h_n', 'c_n', 'gradients', 'jvp' or 'hvp', not an empty list",
            "3:59: num_layers must be a whole number from 1 to 64, not 2",
            "3:71: notes must be a string, not null",
        ],
    ),
    "cross-field-at-the-row": (
        BASE + "cases:\n  one: {lengths: [1, 2]}\nalso:\n  - {lengths: [1, 7, 2]}\n",
        ["3:3: lengths has 2 entries, but batch is 3", "5:5: lengths contains 7, but seq_len is 6"],
    ),
    "cross-field-in-matrix-once": (
        MATRIX + "  proj_size: [1, 5]\n",
        ["2:1: proj_size 5 must be less than hidden_size 5 (in dtype:float32+direction:forward+"],
    ),
    "contradiction": (
        BASE + "cases:\n  one: {bidirectional: true, direction: reverse}\n",
        ["3:3: bidirectional: true contradicts direction: reverse"],
    ),
    "absurd-size": (
        BASE + "cases:\n  one: {seq_len: 1000000000000, batch: 65536}\n",
        ["3:18: seq_len must be a whole number from 0 to 65536, not 1000000000000"],
    ),
    "missing-option": (
        "defaults: {input_size: 4, hidden_size: 5, seq_len: 6}\ncases: {one: {batch: 3}, two: {}}\n",
        ["2:26: batch is missing"],
    ),
    "missing-everywhere-once": (
        "cases:\n  one: {input_size: 4, hidden_size: 5, batch: 1}\n  two: {input_size: 4, hidden_size: 5, batch: 2}\n",
        ["2:3: seq_len is missing in every case: add it to defaults"],
    ),
    "two-cases-of-one-name": (
        BASE + "also:\n  - {name: one}\ncases:\n  one: {bias: false}\n",
        ["5:3: duplicate name 'one', first in line 3"],
    ),
    "the-same-case-twice": (
        BASE + "cases:\n  one: {bidirectional: true}\n  two: {direction: bidirectional, tags: [x]}\n",
        ["4:3: 'two' is the same case as 'one' in line 3"],
    ),
    "bad-names": (
        BASE + "cases:\n  a b: {}\n  -c: {}\nalso:\n  - {name: 'd[0]'}\n  - {name: 7, bias: false}\n",
        [
            "3:3: invalid name 'a b': use letters, digits and . _ + : -, starting with a letter or digit",
            "4:3: invalid name '-c': use letters, digits and . _ + : -, starting with a letter or digit",
            "6:12: invalid name 'd[0]': use letters, digits and . _ + : -, starting with a letter or digit",
            "7:12: name must be a string",
        ],
    ),
    "matrix-shapes": (
        BASE + "matrix:\n  dtype: float32\n  bias: []\n  num_layers: [1, 2, 1]\n",
        [
            "3:10: matrix option dtype must be a list",
            "4:9: matrix option bias is an empty list",
            "5:22: matrix option num_layers lists 1 twice",
        ],
    ),
    "exclude": (
        MATRIX + "exclude:\n  - {dtype: float16}\n  - {bias: true}\n  - {direction: revers}\n  - 3\n",
        [
            "6:13: float16 is not a value of dtype in the matrix, did you mean 'float64'?",
            "7:6: exclude has the option bias, which is not in the matrix",
            "8:17: revers is not a value of direction in the matrix, did you mean 'reverse'?",
            "9:5: an exclude entry must be a mapping (`key: value`)",
        ],
    ),
    "exclude-nothing": (
        MATRIX + "exclude:\n  - {direction: reverse}\n  - {dtype: float64, direction: reverse}\n",
        ["7:5: this entry excludes no remaining combination of the matrix"],
    ),
    "exclude-without-matrix": (BASE + "cases: {a: {}}\nexclude: [{bias: true}]\n", ["3:1: exclude requires a matrix"]),
    "empty-sections": (
        "defaults:\nmatrix: {}\nalso: []\ncases: {}\n",
        [
            "1:10: defaults is empty",
            "2:9: matrix is empty: add options with lists of values",
            "3:7: also is an empty list",
            "4:8: cases is empty: add names with options",
        ],
    ),
    "too-many-cases": (
        BASE + f"matrix: {{seq_len: {list(range(1, 41))}, batch: {list(range(1, 14))}}}\n",
        ["1:1: the file has 520 cases, at most 512 are allowed: split it"],
    ),
    "too-many-values-of-an-option": (
        BASE + f"matrix: {{seq_len: {list(range(1, 20001))}}}\n",
        ["2:19: matrix option seq_len has 20000 entries, at most 512 are allowed: split the file"],
    ),
    "too-many-combinations": (
        BASE + f"matrix: {{seq_len: {list(range(1, 401))}, batch: {list(range(1, 401))}}}\n",
        ["2:1: the matrix has 160000 combinations, at most 8192 are allowed"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_reported_at_its_position(tmp_path: Path, name: str) -> None:
    text, expected = BAD[name]
    found = mistakes_of(tmp_path, text)
    assert len(found) == len(expected), found
    by_position = sorted(expected, key=lambda line: [int(part) for part in line.split(":")[:2]])
    for line, beginning in zip(found, by_position, strict=True):
        assert line.startswith(beginning)


def test_a_file_reports_at_most_a_hundred_mistakes(tmp_path: Path) -> None:
    text = "cases:\n" + "".join(f"  c{number}: {{dtpye: float32}}\n" for number in range(9000))
    assert len(mistakes_of(tmp_path, text)) == 100
    assert len(mistakes_of(tmp_path, "a: [" + "&a 1," * 9000 + "2]")) == 100


def test_a_mistake_is_one_line_without_control_characters(tmp_path: Path) -> None:
    (line,) = mistakes_of(tmp_path, BASE + 'cases:\n  one: {"a\\n\\e[2J": 1}\n')
    assert line.startswith("3:9: unknown key 'a\\n\\x1b[2J' in case 'one'")
    (line,) = mistakes_of(tmp_path, BASE + f"cases: {{one: {{{'x' * 1000}: 1}}}}\n")
    assert len(line) < 420


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("syntax", "tab", "too-many-values")])
def test_mistakes_are_the_same_without_libyaml(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = BAD[name]
    with_libyaml = mistakes_of(tmp_path, text)
    monkeypatch.setattr(yamlfile, "LOADER", yaml.SafeLoader)
    assert mistakes_of(tmp_path, text) == with_libyaml

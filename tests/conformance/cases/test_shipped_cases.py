"""Shipped cases: they are valid, distinct and small, and cover every pair of settings."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from conformance.cases import ON_DEMAND, schema
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import estimate

FILES = sorted(shipped_cases().glob("*.yaml"))
FLOATS = {"float32", "float64"}

SETTINGS: dict[str, tuple[Any, ...]] = {
    "direction": ("forward", "reverse", "bidirectional"),
    "layers": ("one", "several", "several sizes"),
    "bias": (True, False),
    "batch_first": (False, True),
    "projection": (False, True),
    "dropout": ("none", "none in training", "in inference", "half", "all"),
    "batch": ("one", "several", "unbatched"),
    "steps": ("one", "several"),
    "lengths": ("none", "random", "large", "nan", "zero"),
    "initial_state": ("omitted", "zero", "random", "h_0-only", "c_0-only"),
    "dtype": ("float64", "float32", "float16", "bfloat16"),
    "values": ("scale-1", "scale-2", "uniform"),
}


@cache
def shipped() -> list[Case]:
    return load_all([shipped_cases()])


def test_cases_on_demand_are_tagged_and_take_less_than_a_minute() -> None:
    cases = load_all([shipped_cases() / ON_DEMAND])
    assert {case.tags for case in cases} == {("large",), ("device",), ("threads",)}
    for case in cases:
        assert estimate(case).seconds < 60, case.id


def settings_of(case: Case) -> dict[str, Any]:
    """Returns the value of each of ``SETTINGS`` in a case."""
    if case.dropout == 0:
        dropout = "none in training" if case.mode == "train" else "none"
    else:
        dropout = "in inference" if case.mode == "eval" else "all" if case.dropout == 1 else "half"
    lengths: str = "none" if case.lengths is None or (case.lengths == "ragged" and case.seq_len == 1) else case.padding
    if isinstance(case.lengths, tuple) and 0 in case.lengths:
        lengths = "zero"
    return {
        "direction": case.direction,
        "layers": "one" if case.num_layers == 1 else "several" if case.model.is_uniform else "several sizes",
        "bias": case.bias,
        "batch_first": case.batch_first,
        "projection": case.proj_size > 0,
        "dropout": dropout,
        "batch": "unbatched" if case.rows is None else "one" if case.rows == 1 else "several",
        "steps": "one" if case.seq_len == 1 else "several",
        "lengths": lengths,
        "initial_state": case.initial_state,
        "dtype": case.dtype,
        "values": case.values,
    }


def can_occur(pair: dict[str, Any]) -> bool:
    match pair:
        case {"batch": "unbatched", "lengths": lengths}:
            return bool(lengths == "none")
        case {"projection": True, "layers": "several sizes"}:
            return False
        case {"layers": "one", "dropout": "in inference" | "half" | "all"}:
            return False
        case {"steps": "one", "lengths": "random" | "large" | "nan"}:
            return False
        case _:
            return True


def test_every_possible_pair_of_settings_occurs() -> None:
    wanted = {
        ((one, a), (other, b))
        for (one, values), (other, others) in combinations(SETTINGS.items(), 2)
        for a, b in product(values, others)
        if can_occur({one: a, other: b})
    }
    met = {pair for case in shipped() for pair in combinations(settings_of(case).items(), 2)}
    assert len(wanted) > 600
    assert wanted - met == set()


def test_there_are_many_cases_and_no_duplicates() -> None:
    assert len(shipped()) >= 150
    ids: dict[str, str] = {}
    for case in shipped():
        assert ids.setdefault(case.key, case.id) == case.id
    assert len({case.id for case in shipped()}) == len(shipped())


def test_pytest_k_accepts_every_id() -> None:
    assert all(re.fullmatch(r"[\w:+.\-\[\]/\\]+", case.id.replace("::", ":")) for case in shipped())


def test_most_cases_have_single_or_double_precision() -> None:
    assert sum(case.dtype in FLOATS for case in shipped()) > 0.9 * len(shipped())
    for dtype in FLOATS:
        assert sum(case.dtype == dtype for case in shipped()) > 0.3 * len(shipped())


def test_a_few_core_cases_cover_every_feature() -> None:
    core = [case for case in shipped() if "core" in case.tags]
    assert 10 <= len(core) <= 24
    assert {case.dtype for case in core} == FLOATS
    for setting in ("direction", "layers", "bias", "batch_first", "projection"):
        assert {settings_of(case)[setting] for case in core} == set(SETTINGS[setting]), setting
    assert any(case.lengths for case in core)
    assert any(case.drops for case in core)
    assert {"omitted", "random"} <= {case.initial_state for case in core}


def test_zero_lengths_are_tagged() -> None:
    for case in shipped():
        has_zero = isinstance(case.lengths, tuple) and 0 in case.lengths
        assert ("zero-length" in case.tags) == has_zero, case.id


def test_one_case_has_different_sizes_and_one_has_equal_sizes() -> None:
    def sizes(case: Case) -> tuple[int, ...]:
        model = case.model
        return (
            case.seq_len,
            case.rows or 0,
            model.input_size,
            case.hidden_sizes[0],
            model.num_layers,
            model.num_directions,
        )

    assert any(len(set(sizes(case))) == 6 for case in shipped())
    assert any(len(set(sizes(case)[:4])) == 1 for case in shipped())


def trace_kinds(cases: list[Case]) -> Iterator[tuple[Any, ...]]:
    """Yields the kinds of layers. A framework may compile a function for each of them."""
    for case in cases:
        if case.direction == "reverse" or case.proj_size or case.drops or case.rows is None:
            continue
        for layer, hidden in enumerate(case.hidden_sizes):
            sizes = (case.model.layer_input_size(layer), hidden, case.reverse_hidden_size)
            yield (*sizes, case.direction, case.bias, case.dtype, case.lengths is not None, case.gives_state)


def test_cases_use_few_kinds_of_layers_so_that_compiled_functions_are_reused() -> None:
    assert len(set(trace_kinds(shipped()))) <= 80


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_file_begins_with_its_schema_and_notes(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    first, second = text.splitlines()[:2]
    assert first == "# yaml-language-server: $schema=./case.schema.json"
    assert second.startswith("notes: ")
    assert max(map(len, text.splitlines())) <= 120


def test_the_tutorial_cases_have_its_shapes_and_parameter_counts() -> None:
    cases = {case.name: case for case in shipped() if case.file == "cases/tutorial.yaml"}
    one, both = cases["two-layers"].model, cases["two-layers-both-ways"].model
    assert one.state_shapes("h_n", 40) == {"h_n": (2, 40, 256)}
    assert both.state_shapes("h_n", 40) == {"h_n": (4, 40, 256)}
    assert (one.output_size(), both.output_size()) == (256, 512)
    assert (one.parameter_count(), both.parameter_count()) == (1_314_816, 3_153_920)


def test_the_committed_schema_is_current() -> None:
    committed = (shipped_cases() / "case.schema.json").read_text(encoding="utf-8")
    regenerated = json.dumps(schema.file_schema(), indent=2) + "\n"
    assert committed == regenerated, "write json.dumps(schema.file_schema(), indent=2) to cases/case.schema.json"


def objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for value in part.values():
            yield from objects(value)
    elif isinstance(part, list):
        for value in part:
            yield from objects(value)


def test_the_schema_rejects_unknown_keys() -> None:
    found = list(objects(schema.file_schema()))
    assert len(found) >= 7
    for each in found:
        rest = each["additionalProperties"]
        assert rest is False or (rest["type"] == "object" and rest["additionalProperties"] is False)


def test_the_schema_allows_each_option_in_the_right_sections() -> None:
    sections = schema.file_schema()["properties"]
    options = {*Case.model_fields, "bidirectional"} - {"name", "file", "line", "tags", "notes", "links"}
    described = options | {"tags", "notes", "links"}
    assert set(sections) == {"defaults", "matrix", "exclude", "also", "cases", "tags", "notes", "links"}
    assert set(sections["defaults"]["properties"]) == options
    assert set(sections["matrix"]["properties"]) == options
    assert set(sections["exclude"]["items"]["properties"]) == options
    assert set(sections["also"]["items"]["properties"]) == described | {"name"}
    assert set(sections["cases"]["additionalProperties"]["properties"]) == described


def test_the_schema_describes_each_option() -> None:
    for name, each in schema.fields().items():
        assert each["description"], name
    assert schema.fields()["check"]["minItems"] == 1
    assert schema.fields()["dropout"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.0,
        "description": "Probability of zeroing an element between two layers. Only in mode `train`.",
    }

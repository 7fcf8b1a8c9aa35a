"""YAML parser: scalars, keys and encodings."""

import pytest

from conformance.cases import yamlfile


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("010", 10),
        ("+12", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("on", "on"),
        ("yes", "yes"),
        ("n", "n"),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("9" * 5000, float("inf")),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    root, mistakes = yamlfile.parse(f"key: {text}\n")
    assert root is not None
    assert not mistakes
    found = root.plain()["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_key_that_is_a_list_is_rejected_and_the_rest_is_parsed() -> None:
    root, mistakes = yamlfile.parse("? [a]\n: b\nc: d\n")
    assert root is not None
    assert root.plain() == {"c": "d"}
    assert [(mistake.line, mistake.column, mistake.text) for mistake in mistakes] == [(1, 3, "a key must be a string")]


def test_nan_is_a_number_and_a_byte_order_mark_is_ignored() -> None:
    root, _ = yamlfile.parse("\ufeffkey: .nan")
    assert root is not None
    assert str(root.plain()["key"]) == "nan"

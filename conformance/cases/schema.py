"""Options of a case in a case file: JSON Schema, validation of one option, and suggestions for misspelled words.

Everything is derived from ``Case``.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from conformance.cases.case import Case

Schema = dict[str, Any]

PLACE = ("name", "file", "line")
"""Fields that identify a case. A case file sets them by its structure."""
DESCRIPTION = ("tags", "notes", "links")
"""Fields that do not change a case's problem. A matrix cannot vary them."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._+:-]*"
"""Pattern of names of cases. ``pytest -k`` accepts these names."""

_YAML_1_1_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


@cache
def fields() -> dict[str, Schema]:
    """Returns the JSON Schema of each option and of each field in ``DESCRIPTION``, by name."""
    found: dict[str, Schema] = {}
    for name, schema in Case.model_json_schema()["properties"].items():
        if name in PLACE:
            continue
        found[name] = {key: value for key, value in schema.items() if key != "title"}
        if name == "direction":
            found["bidirectional"] = {"type": "boolean", "description": "Short for `direction: bidirectional`."}
    return found


@cache
def options() -> tuple[str, ...]:
    """Returns the names of the options, without the fields in ``DESCRIPTION``."""
    return tuple(name for name in fields() if name not in DESCRIPTION)


def find_mistakes(name: str, value: Any) -> list[tuple[int | None, str]]:
    """Validates the value of one option.

    Returns:
        A pair for each mistake: index of the wrong item in a list, or None for the whole value; description.
    """
    try:
        _validator(name).validate_python(value)
    except ValidationError as error:
        schema = fields()[name]
        items = {part for each in error.errors() for part in each["loc"] if isinstance(part, int)}
        listed = _item_schema(schema)
        if isinstance(value, list) and items and listed:
            return [(item, f"each item of {name} {_must_be(listed, value[item])}") for item in sorted(items)]
        return [(None, f"{name} {_must_be(schema, value)}")]
    return []


def hint(word: object, known: Iterable[str]) -> str:
    """Returns ``, did you mean 'bias'?`` with the known word that is closest; empty if no word is close."""
    written, words = str(word).lower()[:40], list(known)
    close = get_close_matches(written.replace("-", "_"), words, n=1) or get_close_matches(written, words, n=1)
    return f", did you mean '{close[0]}'?" if close else ""


def file_schema() -> Schema:
    """Returns the JSON Schema of a case file, for editors."""

    def mapping(names: Iterable[str], wrap: Any = lambda ref: ref) -> Schema:
        entries = {name: wrap({"$ref": f"#/definitions/{name}"}) for name in names}
        return {"type": "object", "properties": entries, "additionalProperties": False}

    row = mapping(fields())
    named_row = mapping(fields())
    named_row["properties"]["name"] = {"type": "string", "pattern": f"^{NAME}$", "description": "Name of the case."}
    sections: Schema = {
        "defaults": mapping(options()) | {"description": "Options of all cases in the file. A case can override them."},
        "matrix": mapping(options(), lambda ref: {"type": "array", "minItems": 1, "items": ref})
        | {"minProperties": 1, "description": "Lists of values by option. Each combination is a case."},
        "exclude": {
            "type": "array",
            "items": mapping(options(), lambda ref: {"anyOf": [ref, {"type": "array", "items": ref}]}),
            "description": "Combinations of the matrix to leave out: those that match all options of an entry.",
        },
        "also": {
            "type": "array",
            "minItems": 1,
            "items": {**named_row, "minProperties": 1},
            "description": "Further cases. A case without a name is named by its options.",
        },
        "cases": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": row,
            "description": "Further cases by name.",
        },
        **{name: {"$ref": f"#/definitions/{name}"} for name in DESCRIPTION},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "LSTM conformance cases",
        "type": "object",
        "properties": sections,
        "additionalProperties": False,
        "anyOf": [{"required": [section]} for section in ("matrix", "also", "cases")],
        "definitions": fields(),
    }


@cache
def _validator(name: str) -> TypeAdapter[Any]:
    if name == "bidirectional":
        return TypeAdapter(bool, config=ConfigDict(strict=True))
    field = Case.model_fields[name]
    annotation: Any = field.annotation
    for each in field.metadata:
        annotation = Annotated[annotation, each]
    return TypeAdapter(annotation, config=ConfigDict(strict=True))


def _must_be(schema: Schema, value: Any) -> str:
    """Returns an error message: which values a schema accepts, and which one it got."""
    shown = _format_value(value)
    suggestion = hint(value, _accepted_words(schema)) if isinstance(value, str) else ""
    if isinstance(value, str) and schema.get("type") == "boolean" and value.lower() in _YAML_1_1_BOOLEANS:
        suggestion = f", did you mean {_YAML_1_1_BOOLEANS[value.lower()]}?"
    return f"must be {describe(schema)}, not {shown}{suggestion}"


def describe(schema: Schema) -> str:
    """Describes in words which values a schema accepts."""
    match schema:
        case {"anyOf": choices}:
            return " or ".join(describe(choice) for choice in choices)
        case {"const": word}:
            return f"'{word}'"
        case {"enum": words}:
            return ", ".join(f"'{word}'" for word in words[:-1]) + f" or '{words[-1]}'"
        case {"type": "array", "items": items}:
            few, many = schema.get("minItems"), schema.get("maxItems")
            count = f" of {few} to {many} items" if few and many and few > 1 else ""
            return f"a list{count}, each {describe(items)}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": ("integer" | "number") as kind}:
            noun = "a whole number" if kind == "integer" else "a number"
            match schema:
                case {"minimum": low, "maximum": high}:
                    return f"{noun} from {low} to {high}"
                case {"minimum": low}:
                    return f"{noun} of at least {low}"
                case _:
                    return noun
        case _:
            return {"null": "null", "string": "a string"}[schema["type"]]


def _format_value(value: Any) -> str:
    """Formats a value for an error message."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if len(value) <= 40 else f"'{value[:40]}…'"
        case int() | float():
            return str(value)
        case []:
            return "an empty list"
        case list():
            return f"a list of {len(value)} items"
        case _:
            return "a mapping"


def _accepted_words(schema: Schema) -> list[str]:
    """Returns the strings that a schema accepts."""
    if "anyOf" in schema:
        return [word for choice in schema["anyOf"] for word in _accepted_words(choice)]
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _item_schema(schema: Schema) -> Schema | None:
    """Returns the schema of a list's items; None if the schema accepts no list."""
    return next((choice["items"] for choice in schema.get("anyOf", [schema]) if "items" in choice), None)

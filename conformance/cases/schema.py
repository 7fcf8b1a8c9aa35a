"""The options of a case as a user writes them: their JSON Schema, what each accepts, and hints for slips.

All of it is derived from ``Case``: an option added there is known here.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from conformance.cases.case import Case

Schema = dict[str, Any]

PLACE = ("name", "file", "line")
"""Fields of a case that say where it stands; not options."""
DESCRIPTION = ("tags", "notes", "links")
"""Fields that describe a case and do not change its problem; they cannot be varied."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._+:-]*"
"""What a case may be called, so that ``pytest -k`` accepts it."""

_WORDS_FOR_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


@cache
def fields() -> dict[str, Schema]:
    """JSON Schema of every option, then of every describing field, by name and in the order of ``Case``."""
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
    """Names of the options, which a matrix may vary."""
    return tuple(name for name in fields() if name not in DESCRIPTION)


def faults(name: str, value: Any) -> list[tuple[int | None, str]]:
    """What is wrong with an option's value by itself: the offending item of a list, or None for the whole, and why."""
    try:
        _validator(name).validate_python(value)
    except ValidationError as error:
        schema = fields()[name]
        items = {part for each in error.errors() for part in each["loc"] if isinstance(part, int)}
        listed = _items(schema)
        if isinstance(value, list) and items and listed:
            return [(item, f"each of {name} {_must_be(listed, value[item])}") for item in sorted(items)]
        return [(None, f"{name} {_must_be(schema, value)}")]
    return []


def hint(word: object, known: Iterable[str]) -> str:
    """``, did you mean 'bias'?`` where a known word is close, else nothing."""
    written, words = str(word).lower()[:40], list(known)
    close = get_close_matches(written.replace("-", "_"), words, n=1) or get_close_matches(written, words, n=1)
    return f", did you mean '{close[0]}'?" if close else ""


def file_schema() -> Schema:
    """JSON Schema of a whole case file, for editors."""

    def mapping(names: Iterable[str], wrap: Any = lambda ref: ref) -> Schema:
        entries = {name: wrap({"$ref": f"#/definitions/{name}"}) for name in names}
        return {"type": "object", "properties": entries, "additionalProperties": False}

    row = mapping(fields())
    named_row = mapping(fields())
    named_row["properties"]["name"] = {"type": "string", "pattern": f"^{NAME}$", "description": "The case's name."}
    sections: Schema = {
        "defaults": mapping(options())
        | {"description": "Options of every case in the file, unless the case sets them itself."},
        "matrix": mapping(options(), lambda ref: {"type": "array", "minItems": 1, "items": ref})
        | {"minProperties": 1, "description": "Options to lists of values; every combination is a case."},
        "exclude": {
            "type": "array",
            "items": mapping(options(), lambda ref: {"anyOf": [ref, {"type": "array", "items": ref}]}),
            "description": "Combinations of the matrix to leave out: those that match all options of an entry.",
        },
        "also": {
            "type": "array",
            "minItems": 1,
            "items": {**named_row, "minProperties": 1},
            "description": "Further cases, named by their own options unless they have a name.",
        },
        "cases": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": row,
            "description": "Further cases, by name.",
        },
        **{name: {"$ref": f"#/definitions/{name}"} for name in DESCRIPTION},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A file of LSTM conformance cases",
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
    shown = _shown(value)
    slip = hint(value, _words(schema)) if isinstance(value, str) else ""
    if isinstance(value, str) and schema.get("type") == "boolean" and value.lower() in _WORDS_FOR_BOOLEANS:
        slip = f", did you mean {_WORDS_FOR_BOOLEANS[value.lower()]}?"
    return f"must be {_expected(schema)}, not {shown}{slip}"


def _expected(schema: Schema) -> str:
    """A schema in words."""
    match schema:
        case {"anyOf": choices}:
            return " or ".join(_expected(choice) for choice in choices)
        case {"const": word}:
            return f"'{word}'"
        case {"enum": words}:
            return ", ".join(f"'{word}'" for word in words[:-1]) + f" or '{words[-1]}'"
        case {"type": "array", "items": items}:
            few, many = schema.get("minItems"), schema.get("maxItems")
            count = f" of {few} to {many} items," if few and many and few > 1 else ""
            return f"a list{count} with each {_expected(items)}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": ("integer" | "number") as kind}:
            noun = "a whole number" if kind == "integer" else "a number"
            match schema:
                case {"minimum": low, "maximum": high}:
                    return f"{noun} from {low} to {high}"
                case {"minimum": low}:
                    return f"{noun} from {low}"
                case _:
                    return noun
        case _:
            return {"null": "null", "string": "text"}[schema["type"]]


def _shown(value: Any) -> str:
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
            return f"a list of {len(value)}"
        case _:
            return "a mapping"


def _words(schema: Schema) -> list[str]:
    """Every word that a schema accepts."""
    if "anyOf" in schema:
        return [word for choice in schema["anyOf"] for word in _words(choice)]
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _items(schema: Schema) -> Schema | None:
    """The schema of a list's items, where a list is accepted."""
    return next((choice["items"] for choice in schema.get("anyOf", [schema]) if "items" in choice), None)

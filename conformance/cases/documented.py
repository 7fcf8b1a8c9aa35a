"""Describes the fields of models in their JSON Schema.

Pydantic has the option ``use_attribute_docstrings`` for this. It parses the source of every model at import, which
takes 25 ms in each process. Here, the source is parsed only if a schema is made.
"""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Documented:
    """Mixin of a model whose JSON Schema describes each field with the docstring below it."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Adds the docstrings to the schema."""
        reference = handler(core_schema)
        properties = handler.resolve_ref_schema(reference).get("properties", {})
        for base in reversed(cls.__mro__):
            if issubclass(base, Documented):
                for name, text in _docstrings(base.__module__).get(base.__name__, {}).items():
                    properties[name]["description"] = text
        return reference


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Returns the docstrings of fields in a module, by class and field."""
    classes = (
        node for node in ast.parse(inspect.getsource(sys.modules[module])).body if isinstance(node, ast.ClassDef)
    )
    return {
        each.name: {
            field.target.id: inspect.cleandoc(text)
            for field, following in pairwise(each.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(text := following.value.value, str)
        }
        for each in classes
    }

"""Explanations that experiments find for failures without a known cause, and their rows in the results file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from conformance.results.response_map import ResponseMap


@dataclass(frozen=True)
class Explanation:
    """An explanation of failures of one implementation.

    Attributes:
        implementation: name of the implementation.
        what: what is wrong, such as ``reads c_0 of every layer from layer 0``.
        keys: keys of the failing cases for which it accounts.
        how: how it was established.
        where: where the results are wrong; empty if this does not help.
        when: condition that new cases on both sides of its boundary confirm; empty if there is none.
        verified: whether the reference with this mistake reproduces every tensor of all these cases. Otherwise it is an
            observation.
        responses: the wrong responses to changes of single blocks; None if there are none, or they were not measured.
    """

    implementation: str
    what: str
    keys: tuple[str, ...]
    how: str = ""
    where: str = ""
    when: str = ""
    verified: bool = False
    responses: ResponseMap | None = None

    def to_row(self) -> dict[str, Any]:
        """Returns the explanation as JSON values."""
        row = asdict(self) | {"keys": list(self.keys)}
        if self.responses is None:
            del row["responses"]
        return row

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Explanation":
        """Returns the explanation of a row.

        Raises:
            pydantic.ValidationError: a field is missing or invalid.
        """
        return _ROW.validate_python(row)


_ROW = TypeAdapter(Explanation)

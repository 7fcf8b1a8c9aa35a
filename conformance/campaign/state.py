"""State of a campaign besides its results: pairs that have occurred, and groups of deviations."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from conformance.campaign.draw import Drawer
from conformance.campaign.groups import Group, Groups
from conformance.errors import UserError
from conformance.results import atomic
from conformance.results.validation import first_mistake

FILE = "campaign.json"
"""Name of the file in the output folder of a campaign."""


class Pairs(BaseModel):
    """Pairs of one implementation, as hexadecimal bit masks over ``Drawer.pairs``."""

    seen: str = "0"
    refused: str = "0"


class State(BaseModel):
    """State of a campaign, as it is stored."""

    pairs: dict[str, Pairs] = {}
    groups: list[Group] = []

    @classmethod
    def load(cls, folder: Path) -> "State":
        """Reads the state from an output folder; an empty one if there is none.

        Raises:
            UserError: the file is damaged.
        """
        path = folder / FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise UserError(f"{path}: {first_mistake(error)}. Run without --resume.") from error

    def restore(self, drawers: Mapping[str, Drawer]) -> None:
        """Sets the pairs that have occurred."""
        for name, pairs in self.pairs.items():
            if name in drawers:
                drawers[name].seen, drawers[name].refused = _unpacked(pairs.seen), _unpacked(pairs.refused)


def save(folder: Path, drawers: Mapping[str, Drawer], groups: Groups) -> None:
    """Writes the state to an output folder."""
    pairs = {
        name: Pairs(seen=_packed(drawer.seen), refused=_packed(drawer.refused)) for name, drawer in drawers.items()
    }
    atomic.write(folder / FILE, State(pairs=pairs, groups=groups.groups).model_dump_json(indent=1) + "\n")


def _packed(places: Collection[int]) -> str:
    return f"{sum(1 << place for place in places):x}"


def _unpacked(mask: str) -> set[int]:
    bits = int(mask, 16)
    return {place for place in range(bits.bit_length()) if bits >> place & 1}

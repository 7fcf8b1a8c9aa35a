"""Shapes that an implementation declares before it runs, compared with those of its results.

Adapters call ``record_shape`` wherever a framework declares shapes. The caller of an adapter collects them with
``recording``.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from conformance.verdict.judge import DECLARED, TensorVerdict


@dataclass(frozen=True)
class DeclaredShape:
    """Shape that an implementation declares for one of its results, and the shape that it returns.

    Attributes:
        name: the implementation's name of the result.
        declared: the declared sizes; None for an axis of any size.
        returned: the sizes of the result.
    """

    name: str
    declared: tuple[int | None, ...]
    returned: tuple[int, ...]

    @property
    def conforms(self) -> bool:
        """Whether the result has the declared shape."""
        pairs = zip(self.declared, self.returned, strict=False)
        return len(self.declared) == len(self.returned) and all(size in (None, got) for size, got in pairs)


_recorded: ContextVar[dict[DeclaredShape, None] | None] = ContextVar("declared shapes", default=None)


@contextmanager
def recording() -> Iterator[dict[DeclaredShape, None]]:
    """Collects the shapes that are recorded in the ``with`` block, each once, as the keys of a dictionary."""
    found: dict[DeclaredShape, None] = {}
    token = _recorded.set(found)
    try:
        yield found
    finally:
        _recorded.reset(token)


def record_shape(name: str, declared: Sequence[int | None], returned: Sequence[int]) -> None:
    """Records the declared and the returned shape of a result, if somebody collects them."""
    found = _recorded.get()
    if found is not None:
        found[DeclaredShape(name, tuple(declared), tuple(returned))] = None


def verdicts(shapes: Iterable[DeclaredShape]) -> list[TensorVerdict]:
    """Returns a verdict on each result that has another shape than declared, once for each name."""
    wrong: dict[str, TensorVerdict] = {}
    for shape in shapes:
        if not shape.conforms:
            words = ", ".join("?" if size is None else str(size) for size in shape.declared)
            declared = f"({words},)" if len(shape.declared) == 1 else f"({words})"
            reason = f"{shape.name} declares {declared}, returns {shape.returned}"
            wrong.setdefault(shape.name, TensorVerdict(f"{DECLARED}{shape.name}", math.inf, reason, proven=True))
    return list(wrong.values())

"""Draws the packages and their imports: ``python -m tests.architecture > docs/architecture.svg``."""

import tomllib
from collections.abc import Iterator, Mapping

import grimp

from tests.conftest import ROOT

Edges = Mapping[str, frozenset[str]]

_WIDTH = 480
_ROW_HEIGHT = 74
_BOX_HEIGHT = 34
_BOX_WIDTH = 144
_CURVE_HEIGHT = _ROW_HEIGHT - _BOX_HEIGHT - 10
"""Height of an arrow's bend. The rest of the gap between two rows is left to the arrow's head."""
_BASE = ("cache", "errors", "system", "threads")
"""Modules without a package. Every package may import them, so that arrows to them would say nothing."""

_STYLE = """\
.page { fill: #ffffff; }
.package { fill: #eef3fb; stroke: #3f51b5; }
text { font: 600 16px system-ui, sans-serif; fill: #1f2328; text-anchor: middle; }
path { fill: none; stroke: #59636e; stroke-width: 1.3; marker-end: url(#head); }
marker path { fill: #59636e; stroke: none; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; } .package { fill: #1c2440; stroke: #8c9eff; } text { fill: #e6edf3; }
  path { stroke: #9aa4af; } marker path { fill: #9aa4af; }
}
"""


def layers() -> list[list[str]]:
    """Returns the packages by layer, the highest first, as the import contract in ``pyproject.toml`` lists them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [contract] = [each for each in settings["contracts"] if each["type"] == "layers"]
    rows = [[name.strip().removeprefix("conformance.") for name in row.split("|")] for row in contract["layers"]]
    return [packages for row in rows if (packages := [name for name in row if name not in _BASE])]


def imports() -> Edges:
    """Returns, for each package, the packages that it imports directly, without those implied by other imports."""
    graph = grimp.build_graph("conformance", "reference", exclude_type_checking_imports=True)
    names = [name for row in layers() for name in row]
    direct = {name: set[str]() for name in names}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            importer, target = _package(module), _package(imported)
            if importer != target and importer in direct and target in direct:
                direct[importer].add(target)
    reachable: dict[str, set[str]] = {}
    for name in reversed(names):
        reachable[name] = direct[name].union(*(reachable.get(target, set()) for target in direct[name]))
    return {
        name: frozenset(
            target for target in targets if not any(target in reachable[other] for other in targets - {target})
        )
        for name, targets in direct.items()
    }


def draw() -> str:
    """Returns the diagram as SVG."""
    rows = layers()
    boxes = {
        name: (_WIDTH * (place + 0.5) / len(row), 20 + _ROW_HEIGHT * level)
        for level, row in enumerate(rows)
        for place, name in enumerate(row)
    }
    height = _ROW_HEIGHT * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="560" viewBox="0 0 {_WIDTH} {height}" role="img"',
            '  aria-label="The packages of the suite. Arrows point from a package to those that it imports.">',
            f"<style>\n{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
            '<path d="M0,0 L8,4 L0,8 Z"/></marker>',
            *_arrows(imports(), boxes),
            *(line for name, place in boxes.items() for line in _box(name, *place)),
            "</svg>\n",
        ]
    )


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "conformance" else first


def _arrows(edges: Edges, boxes: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    for name, targets in edges.items():
        x, y = boxes[name]
        for target in sorted(targets):
            to_x, to_y = boxes[target]
            start, end = y + _BOX_HEIGHT, to_y - 2
            # A small shift keeps arrows to the same box apart.
            to_x += (x - to_x) * 0.15
            # Long arrows run beside the boxes between, so they bend where their other end is in the middle.
            bend = start if x == _WIDTH / 2 else end - _CURVE_HEIGHT - 8
            yield (
                f'<path d="M{x:.0f},{start:.0f} V{bend:.0f} C{x:.0f},{bend + _CURVE_HEIGHT / 2:.0f} '
                f'{to_x:.0f},{bend + _CURVE_HEIGHT / 2:.0f} {to_x:.0f},{bend + _CURVE_HEIGHT:.0f} V{end:.0f}"/>'
            )


def _box(name: str, x: float, y: float) -> Iterator[str]:
    place = f'x="{x - _BOX_WIDTH / 2:.0f}" y="{y:.0f}"'
    yield f'<rect class="package" {place} width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6"/>'
    yield f'<text x="{x:.0f}" y="{y + 22:.0f}">{name}</text>'


if __name__ == "__main__":
    print(draw(), end="")

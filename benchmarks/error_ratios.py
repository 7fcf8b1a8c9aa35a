"""Draws how far correct implementations deviate, as shares of the budget.

This command writes docs/error-ratios.svg:

    python -m benchmarks.error_ratios docs/error-ratios.svg

Each implementation runs the same 24 float32 cases, of 16 and 64 units and steps. The picture shows the error ratios of
4,200 elements of each case, and their percentiles.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import make_parser
from conformance.cases.case import Case
from conformance.results.atomic import write
from conformance.run.implementations import load
from conformance.verdict.error_ratio import elementwise_error_ratios
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem

IMPLEMENTATIONS = ("torch.nn.LSTM", "keras.layers.LSTM[tensorflow]", "onnxruntime")
ELEMENTS_PER_CASE = 4_200
BINS = np.linspace(0, 1.1, 56)

_WIDTH, _PANEL, _LEFT, _RIGHT, _BARS = 480, 156, 62, 470, 96
"""Width of the picture, height of a panel, both ends of its axis, and height of its highest bar."""

_STYLE = """\
text { font: 15px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 13.5px; fill: #59636e; }
.page { fill: #ffffff; }
.bars { fill: #0072b2; }
.axis { stroke: #8a9bab; fill: none; }
.budget { stroke: #c2410c; stroke-width: 2; stroke-dasharray: 5 3; }
.limit { fill: #c2410c; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9aa4af; } .page { fill: #0d1117; } .bars { fill: #56a8e0; }
  .axis { stroke: #59636e; } .budget { stroke: #fb923c; } .limit { fill: #fb923c; }
}
"""

Ratios = NDArray[np.float64]


def cases() -> Iterator[Case]:
    """Yields the cases: sizes, directions and numbers of layers in all combinations."""
    for units, steps, direction, layers in itertools.product(
        (16, 64), (16, 64), ("forward", "bidirectional"), (1, 2, 3)
    ):
        sizes = {"input_size": units, "hidden_size": units, "seq_len": steps, "batch": 16}
        yield Case.model_validate(sizes | {"direction": direction, "num_layers": layers, "dtype": "float32"})


def measure(name: str) -> Ratios:
    """Returns the error ratios of one implementation, without elements that must be exact."""
    adapter, oracle, random = load(name), Oracle(), np.random.default_rng(0)
    found = []
    for whole in cases():
        case = whole.forward_only() if adapter.supports(whole) else whole
        assert case
        problem = make_problem(case)
        expected = oracle.expect(problem, adapter.profile(case), adapter.dialect(case))
        solution = adapter.solve(problem)
        ratios = np.concatenate(
            [
                elementwise_error_ratios(np.abs(solution[tensor] - values), budget)[budget > 0]
                for tensor, values in expected.values.items()
                for budget in [expected.budget[tensor]]
            ]
        )
        found.append(random.choice(ratios, ELEMENTS_PER_CASE, replace=False))
    return np.concatenate(found)


def draw(measured: Mapping[str, Ratios]) -> str:
    """Returns the picture as SVG: a histogram for each implementation. The heights of its bars are logarithmic."""
    height = _PANEL * len(measured) + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="640" viewBox="0 0 {_WIDTH} {height}" role="img"',
            '  aria-label="Histograms of error ratios. The largest ones are far below the budget, which is 1.">',
            f"<style>\n{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            *(
                line
                for place, (name, ratios) in enumerate(measured.items())
                for line in _panel(name, ratios, _PANEL * place)
            ),
            f'<text class="small" x="{_LEFT}" y="{height - 6}">error ratio: |deviation| / budget of one element</text>',
            "</svg>\n",
        ]
    )


def _x(ratio: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * ratio / float(BINS[-1])


def _panel(name: str, ratios: Ratios, top: float) -> Iterator[str]:
    counts, _ = np.histogram(np.minimum(ratios, BINS[-1]), BINS)
    base, tallest = top + 28 + _BARS, int(np.log10(counts.max())) + 1
    yield f'<text x="{_LEFT}" y="{top + 20}">{name}</text>'
    yield f'<text class="small" x="{_RIGHT}" y="{top + 20}" text-anchor="end">{len(ratios):,} elements</text>'
    median, high = np.percentile(ratios, [50, 99])
    figures = f"median {median:.2f} · p99 {high:.2f} · largest {ratios.max():.2f}"
    yield f'<text class="small" x="{_RIGHT}" y="{top + 54}" text-anchor="end">{figures}</text>'
    for power in range(0, tallest, 2):
        y = base - _BARS * (power + 0.3) / tallest
        yield f'<text class="small" x="{_LEFT - 6}" y="{y + 5:.1f}" text-anchor="end">{10**power:,}</text>'
    bars = [
        f"M{_x(BINS[place]) + 0.5:.1f} {base}v-{_BARS * (np.log10(count) + 0.3) / tallest:.1f}h6.4V{base}z"
        for place, count in enumerate(counts)
        if count
    ]
    yield f'<path class="bars" d="{"".join(bars)}"/>'
    yield f'<path class="axis" d="M{_LEFT} {base}H{_RIGHT}"/>'
    yield f'<path class="budget" d="M{_x(1):.1f} {base}V{top + 66}"/>'
    yield f'<text class="small limit" x="{_x(1) - 6:.1f}" y="{base - 34}" text-anchor="end">budget</text>'
    for tick in (0, 0.25, 0.5, 0.75, 1):
        yield f'<text class="small" x="{_x(tick):.1f}" y="{base + 17}" text-anchor="middle">{tick:g}</text>'


def main() -> None:
    """Measures the implementations and writes the picture."""
    parser = make_parser("error_ratios", __doc__)
    parser.add_argument("picture", type=Path, help="SVG file to write")
    parser.add_argument("-i", "--implementation", action="append", metavar="NAME", help="default: three of them")
    args = parser.parse_args()
    measured = {name: measure(name) for name in args.implementation or IMPLEMENTATIONS}
    for name, ratios in measured.items():
        print(f"{name}: {len(ratios)} elements, largest {ratios.max():.3f}, exact {np.mean(ratios == 0):.0%}")
    write(args.picture, draw(measured))


if __name__ == "__main__":
    main()

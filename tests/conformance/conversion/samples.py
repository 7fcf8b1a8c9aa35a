"""LSTMs for tests: drawn ones, and those in the checkpoints that frameworks wrote."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from conformance.conversion import frameworks
from conformance.conversion.files import formats
from conformance.conversion.find import find, recognize, with_options
from conformance.conversion.framework import Framework
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Lstm
from conformance.verdict.problem import cells
from reference import Dialect, Model, forward

FOLDER = Path(__file__).parent / "checkpoints"
"""Checkpoints that ``write.py`` in this folder wrote."""


def draw(model: Model, dtype: str = "float32", name: str = "encoder.lstm") -> Lstm:
    """Returns an LSTM whose elements are all distinct."""
    random = np.random.default_rng(0)
    sizes = {parameter: int(np.prod(shape)) for parameter, shape in model.parameter_shapes().items()}
    values = iter(np.split(random.permutation(sum(sizes.values())) / 7 - 11, np.cumsum([*sizes.values()])[:-1]))
    shapes = model.parameter_shapes()
    return Lstm(name, {parameter: next(values).astype(dtype).reshape(shapes[parameter]) for parameter in shapes})


def load(name: str) -> tuple[Framework, list[Lstm]]:
    path = FOLDER / name
    contents = formats.read(path)
    if contents.framework:
        framework = frameworks.framework(contents.framework, 1.0 if contents.framework == "block_lstm" else None)
        lstms = find(contents.tensors, framework)
    else:
        framework, lstms = recognize(contents.tensors, [FRAMEWORKS[own] for own in formats.format_of(path).frameworks])
    return framework, with_options(lstms, contents.options)


def assert_computes(lstms: list[Lstm], name: str) -> None:
    """Compares the reference with what the framework computed. A wrong gate order deviates by more than 1e-3."""
    computed = np.load(FOLDER / "computed" / f"{name}.npz")
    x = computed["input"]
    for lstm in lstms:
        model = replace(lstm.model, batch_first=True)
        x = forward(model, lstm.parameters, x, cell=cells(lstm.case(), Dialect())).outputs["output"]
    np.testing.assert_allclose(x, computed["output"], rtol=0, atol=1e-6)

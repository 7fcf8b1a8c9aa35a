"""The catalogue: every defect that the suite measures itself by, a file for each kind."""

from conformance.defects.catalogue import (
    activations,
    adjoint,
    biases,
    cells,
    cotangents,
    dropout,
    gates,
    gradients,
    layers,
    lengths,
    moments,
    precision,
    projection,
    rows,
    states,
    through_time,
    time,
    weights,
)
from conformance.defects.defect import Defect

CATALOGUE: tuple[Defect, ...] = (
    *gates.DEFECTS,
    *biases.DEFECTS,
    *weights.DEFECTS,
    *layers.DEFECTS,
    *states.DEFECTS,
    *rows.DEFECTS,
    *time.DEFECTS,
    *lengths.DEFECTS,
    *dropout.DEFECTS,
    *projection.DEFECTS,
    *activations.DEFECTS,
    *cells.DEFECTS,
    *moments.DEFECTS,
    *precision.DEFECTS,
    *adjoint.DEFECTS,
    *through_time.DEFECTS,
    *cotangents.DEFECTS,
    *gradients.DEFECTS,
)
"""All defects, in the order in which they are reported."""

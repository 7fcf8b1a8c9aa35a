"""The catalogue: every defect that the suite measures itself by, a file for each kind."""

from conformance.defects.catalogue import adjoint, gates
from conformance.defects.defect import Defect

CATALOGUE: tuple[Defect, ...] = (*gates.DEFECTS, *adjoint.DEFECTS)
"""All defects, in the order in which they are reported."""

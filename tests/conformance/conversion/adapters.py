"""Fake implementations that declare every feature, so that weights of any framework can be checked with them."""

from conformance.cases.features import FEATURES
from tests import fakes


class Faithful(fakes.Faithful):
    """Computes what the reference computes."""

    features = frozenset(FEATURES)


class ReverseWithoutBiases(fakes.ReverseWithoutBiases):
    """Ignores the biases of the reverse direction."""

    features = frozenset(FEATURES)


class Absent(fakes.Absent):
    """Requires a package that is not installed."""

    features = frozenset(FEATURES)

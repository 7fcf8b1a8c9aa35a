"""The oracle: a float64 NumPy LSTM, forward and backward through time, with the rounding budget of a correct run."""

from reference.layer import Dialect
from reference.model import Model
from reference.network import backward, float64, forward
from reference.profile import PROFILES, Profile
from reference.rounding import Budget, budget

__all__ = ["PROFILES", "Budget", "Dialect", "Model", "Profile", "backward", "budget", "float64", "forward"]

"""Reference LSTM in float64 NumPy: forward pass, backward pass through time, and the budget of a correct run.

Example:
    model = Model(input_size=3, hidden_sizes=(5,))
    trace = forward(model, parameters, input)                  # trace.outputs: output, h_n, c_n
    gradients = backward(trace, cotangents)                    # grad.input, grad.weight_ih_l0, …
"""

from reference.layer import Dialect
from reference.model import Model
from reference.network import backward, float64, forward
from reference.profile import PROFILES, Profile
from reference.quantization import quantize_weights
from reference.rounding import Budget, budget, choose_sides

__all__ = [
    "PROFILES", "Budget", "Dialect", "Model", "Profile",
    "backward", "budget", "choose_sides", "float64", "forward", "quantize_weights",
]  # fmt: skip

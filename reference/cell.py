"""One time step of an LSTM and its adjoint.

    i = σ(z_i)   f = σ(z_f)   g = tanh(z_g)   o = σ(z_o)      z = W_ih x + b_ih + W_hh h' + b_hh
    c = f c' + i g
    m = o tanh(c)                                             h = m, or W_hr m with a projection

A prime marks the previous step. Sources: Hochreiter & Schmidhuber (1997), Gers et al. (2000) for the forget gate,
Sak et al. (2014) for the projection; notation of https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from reference.activations import Activation, sigmoid, tanh


class Step(NamedTuple):
    """What the adjoint of a step needs of it; over a whole sequence, the same with time in front."""

    gates: Any
    """i, f, g, o (…, B, 4H)"""
    squashed: Any
    """tanh(c) (…, B, H)"""
    free: Any = None
    """Of a cell that clips: 1 where i, f, g, o, c and the c that goes out were not held back, else 0 (…, B, 6H)"""


class Sensitivity(NamedTuple):
    """How a step's results answer to small changes, each (…, B, H); see ``Cell.sensitivity``."""

    c_by_i: Any
    """∂c/∂z_i; likewise for the gates f and g."""
    c_by_f: Any
    c_by_g: Any
    m_by_o: Any
    """∂m/∂z_o."""
    m_by_c: Any
    """∂m/∂c."""
    c_by_previous: Any
    """∂c/∂c'."""


@dataclass(frozen=True)
class Cell:
    """The cell's nonlinearities: one for each gate, and one for the cell state on its way out."""

    input_gate: Activation = sigmoid
    forget_gate: Activation = sigmoid
    candidate: Activation = tanh
    output_gate: Activation = sigmoid
    cell_state: Activation = tanh

    @property
    def clips(self) -> bool:
        """Whether ``step`` says what was held back."""
        return False

    def with_peephole(self, peephole: Any) -> Self:
        """The same cell with peepholes (3H,), if it has any use for them."""
        del peephole
        return self

    def peephole_gradient(self, d_z: Any, c_previous: Any, c: Any) -> Any:
        """The gradient by the peepholes (3H,).

        Args:
            d_z: gradient by z of any number of steps (n, 4H).
            c_previous: the cell states before them (n, H).
            c: the cell states after them (n, H).
        """
        raise NotImplementedError

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward.

        Args:
            z: the gates' pre-activations (B, 4H), in the order i, f, g, o.
            c_previous: the cell state before (B, H).

        Returns:
            m, the hidden state before any projection (B, H); c (B, H); what the adjoint needs.
        """
        hidden = c_previous.shape[-1]
        # One call for all four gates, though not all of it is used, costs less than one call each.
        gates = self.input_gate(z)
        i, f, g, o = blocks(gates, hidden)
        g[...] = self.candidate(z[..., 2 * hidden : 3 * hidden])
        if self.forget_gate is not self.input_gate:
            f[...] = self.forget_gate(z[..., hidden : 2 * hidden])
        if self.output_gate is not self.input_gate:
            o[...] = self.output_gate(z[..., 3 * hidden :])
        c = f * c_previous + i * g
        squashed = self.cell_state(c)
        return o * squashed, c, Step(gates, squashed)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives of any number of steps at once: none depends on the way back through time."""
        i, f, g, o = blocks(step.gates, c_previous.shape[-1])
        squashed = step.squashed
        return Sensitivity(
            c_by_i=g * self.input_gate.slope(i),
            c_by_f=c_previous * self.forget_gate.slope(f),
            c_by_g=i * self.candidate.slope(g),
            m_by_o=squashed * self.output_gate.slope(o),
            m_by_c=o * self.cell_state.slope(squashed),
            c_by_previous=f,
        )

    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        """The adjoint of one step.

        Args:
            by: the step's partial derivatives.
            d_m: gradient with respect to m (B, H).
            d_c: gradient with respect to c that comes from the step after (B, H).

        Returns:
            Gradients with respect to z (B, 4H) and c' (B, H).
        """
        d_c = d_c + d_m * by.m_by_c
        d_z = np.concatenate((d_c * by.c_by_i, d_c * by.c_by_f, d_c * by.c_by_g, d_m * by.m_by_o), axis=-1)
        return d_z, d_c * by.c_by_previous


def blocks(gates: Any, hidden: int) -> tuple[Any, Any, Any, Any]:
    """The four gates' parts (…, H) of an array (…, 4H)."""
    return (
        gates[..., :hidden],
        gates[..., hidden : 2 * hidden],
        gates[..., 2 * hidden : 3 * hidden],
        gates[..., 3 * hidden :],
    )

"""One time step of an LSTM and its adjoint.

    z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh         z = (z_i, z_f, z_g, z_o)
    i_t = σ(z_i)   f_t = σ(z_f)   g_t = tanh(z_g)   o_t = σ(z_o)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    m_t = o_t ⊙ tanh(c_t)
    h_t = m_t, or W_hr m_t with a projection

``reference.layer`` computes z_t and h_t. In code, ``c_previous`` is c_{t-1} and ``d_c`` is δc, the gradient with
respect to c.

Sources: Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000) for the forget gate; Sak, Senior & Beaufays
(2014) for the projection. Notation of https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from reference.activations import Activation, sigmoid, tanh


class Step(NamedTuple):
    """Activations of one time step, for the backward pass. For a sequence, each array has a leading time axis."""

    gates: Any
    """Gates i, f, g, o (…, B, 4H)."""
    squashed: Any
    """tanh(c_t) (…, B, H)."""
    unclipped: Any = None
    """1 where a clip had no effect, else 0, for z_i, z_f, z_g, z_o, c and the argument of tanh (…, B, 6H). None if the
    cell does not clip."""


class Sensitivity(NamedTuple):
    """Partial derivatives of c_t and m_t, each (…, B, H)."""

    c_by_i: Any
    """∂c_t/∂z_i."""
    c_by_f: Any
    """∂c_t/∂z_f."""
    c_by_g: Any
    """∂c_t/∂z_g."""
    m_by_o: Any
    """∂m_t/∂z_o."""
    m_by_c: Any
    """∂m_t/∂c_t."""
    c_by_previous: Any
    """∂c_t/∂c_{t-1}."""


@dataclass(frozen=True)
class Cell:
    """An LSTM cell.

    Attributes:
        input_gate: activation of the input gate i.
        forget_gate: activation of the forget gate f.
        candidate: activation of the candidate g.
        output_gate: activation of the output gate o.
        cell_state: activation of the cell state in m_t = o_t ⊙ tanh(c_t).
    """

    input_gate: Activation = sigmoid
    forget_gate: Activation = sigmoid
    candidate: Activation = tanh
    output_gate: Activation = sigmoid
    cell_state: Activation = tanh

    @property
    def clips(self) -> bool:
        """Whether ``step`` returns ``Step.unclipped``."""
        return False

    def with_peephole(self, peephole: Any) -> Self:
        """Returns this cell with peephole weights (3H,). A cell without peepholes ignores them."""
        del peephole
        return self

    def peephole_gradient(self, d_z: Any, c_previous: Any, c: Any) -> Any:
        """Returns the gradient with respect to the peephole weights (3H,), summed over n steps.

        Args:
            d_z: gradient with respect to z_t (n, 4H).
            c_previous: cell states c_{t-1} (n, H).
            c: cell states c_t (n, H).
        """
        raise NotImplementedError

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one time step.

        Args:
            z: pre-activations z_t (B, 4H) in the order i, f, g, o.
            c_previous: cell state c_{t-1} (B, H).

        Returns:
            m_t (B, H), c_t (B, H), and the activations for the backward pass.
        """
        hidden = c_previous.shape[-1]
        # Applying the input gate's activation to all four blocks costs less than one call for each block.
        gates = self.input_gate(z)
        i, f, g, o = blocks(gates, hidden)
        g[...] = self.candidate(z[..., 2 * hidden : 3 * hidden])
        if self.forget_gate is not self.input_gate:
            f[...] = self.forget_gate(z[..., hidden : 2 * hidden])
        if self.output_gate is not self.input_gate:
            o[...] = self.output_gate(z[..., 3 * hidden :])
        c = f * c_previous
        c += i * g
        squashed = self.cell_state(c)
        return o * squashed, c, Step(gates, squashed)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives of one step, or of several steps with a leading time axis.

            ∂c_t/∂z_i = g_t ⊙ σ'(z_i)        ∂c_t/∂z_f = c_{t-1} ⊙ σ'(z_f)       ∂c_t/∂z_g = i_t ⊙ tanh'(z_g)
            ∂m_t/∂z_o = tanh(c_t) ⊙ σ'(z_o)  ∂m_t/∂c_t = o_t ⊙ tanh'(c_t)        ∂c_t/∂c_{t-1} = f_t

        Args:
            step: activations of the forward pass.
            c_previous: cell state c_{t-1} (…, B, H).
        """
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
        """Computes the adjoint of one time step.

            δc_t ← δc_t + δm_t ⊙ ∂m_t/∂c_t
            δz_k = δc_t ⊙ ∂c_t/∂z_k  for k = i, f, g        δz_o = δm_t ⊙ ∂m_t/∂z_o
            δc_{t-1} = δc_t ⊙ ∂c_t/∂c_{t-1}

        Args:
            by: partial derivatives of the step.
            d_m: gradient δm_t (B, H).
            d_c: gradient δc_t from step t + 1 (B, H).

        Returns:
            δz_t (B, 4H) and δc_{t-1} (B, H).
        """
        d_c = d_c + d_m * by.m_by_c
        d_z = np.concatenate((d_c * by.c_by_i, d_c * by.c_by_f, d_c * by.c_by_g, d_m * by.m_by_o), axis=-1)
        return d_z, d_c * by.c_by_previous


def blocks(gates: Any, hidden: int) -> tuple[Any, Any, Any, Any]:
    """Splits an array (…, 4H) into the blocks (…, H) of the gates i, f, g and o."""
    return (
        gates[..., :hidden],
        gates[..., hidden : 2 * hidden],
        gates[..., 2 * hidden : 3 * hidden],
        gates[..., 3 * hidden :],
    )

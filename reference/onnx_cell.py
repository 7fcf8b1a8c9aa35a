"""LSTM cell with the options of the LSTM operators of ONNX and TensorFlow, and its partial derivatives.

    z_f ← z_f + β                                                   forget bias β
    z_i ← z_i + p_i ⊙ c_{t-1}        z_f ← z_f + p_f ⊙ c_{t-1}      peepholes p
    i_t = σ(|z_i|_θ)                 g_t = tanh(|z_g|_θ)            |x|_θ clips x to ±θ
    f_t = σ(|z_f|_θ), or 1 - i_t with coupled gates
    c_t = |f_t ⊙ c_{t-1} + i_t ⊙ g_t|_κ
    z_o ← z_o + p_o ⊙ c_t
    o_t = σ(|z_o|_θ)
    m_t = o_t ⊙ tanh(|c_t|_θ)

σ and tanh stand for the cell's activations.

Sources: https://onnx.ai/onnx/operators/onnx__LSTM.html for ``clip`` (θ), activations and coupled gates
(``input_forget``); Gers, Schraudolph & Schmidhuber (2002) for peepholes; Greff et al. (2017) for coupled gates;
https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM for ``cell_clip`` (κ) and the forget bias.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from reference.arithmetic import clip_with_slope, mark_over_time
from reference.cell import Cell, Sensitivity, Step, blocks


@dataclass(frozen=True)
class OnnxCell(Cell):
    """An LSTM cell with optional coupled gates, clips, forget bias and peepholes.

    Attributes:
        coupled: whether f = 1 - i. The cell then ignores z_f.
        clip: bound of the activations' arguments, θ; None for no clip.
        clips_output: whether ``clip`` also applies to c_t in m_t = o_t ⊙ tanh(c_t), as the ONNX specification says.
        cell_clip: bound of c_t, κ; None for no clip.
        forget_bias: bias added to z_f at run time, β.
        peephole: peephole weights p_i, p_f, p_o (3H,); None for no peepholes.
    """

    coupled: bool = False
    clip: float | None = None
    clips_output: bool = True
    cell_clip: float | None = None
    forget_bias: float = 0.0
    peephole: Any = None

    @property
    def clips(self) -> bool:
        """Whether the cell has a clip."""
        return self.clip is not None or self.cell_clip is not None

    def with_peephole(self, peephole: Any) -> Self:
        """Returns this cell with peephole weights (3H,)."""
        return replace(self, peephole=peephole)

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one time step, see ``Cell.step``."""
        z_i, z_f, z_g, z_o = blocks(z, c_previous.shape[-1])
        if self.forget_bias:
            z_f = z_f + self.forget_bias
        if self.peephole is not None:
            p_i, p_f, p_o = self._peepholes()
            z_i, z_f = z_i + p_i * c_previous, z_f + p_f * c_previous
        (z_i, unclipped_i), (z_f, unclipped_f), (z_g, unclipped_g) = (_clip(x, self.clip) for x in (z_i, z_f, z_g))
        i, g = self.input_gate(z_i), self.candidate(z_g)
        f = 1.0 - i if self.coupled else self.forget_gate(z_f)
        c, unclipped_c = _clip(f * c_previous + i * g, self.cell_clip)
        if self.peephole is not None:
            z_o = z_o + p_o * c
        z_o, unclipped_o = _clip(z_o, self.clip)
        o = self.output_gate(z_o)
        c_out, unclipped_out = _clip(c, self.clip if self.clips_output else None)
        squashed = self.cell_state(c_out)
        unclipped = None
        if self.clips:
            parts = (unclipped_i, unclipped_f, unclipped_g, unclipped_o, unclipped_c, unclipped_out)
            unclipped = np.concatenate([np.ones(c.shape) if part is None else part for part in parts], axis=-1)
        return o * squashed, c, Step(np.concatenate((i, f, g, o), axis=-1), squashed, unclipped)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives, see ``Cell.sensitivity``. A clip with an effect blocks the gradient."""
        hidden = c_previous.shape[-1]
        i, _, g, _ = blocks(step.gates, hidden)
        by = super().sensitivity(step, c_previous)
        if self.coupled:
            by = by._replace(c_by_i=(g - c_previous) * self.input_gate.slope(i), c_by_f=by.c_by_f * 0.0)
        if step.unclipped is not None:
            parts = [step.unclipped[..., part * hidden : (part + 1) * hidden] for part in range(6)]
            unclipped_i, unclipped_f, unclipped_g, unclipped_o, unclipped_c, unclipped_out = parts
            by = Sensitivity(
                c_by_i=by.c_by_i * unclipped_i * unclipped_c,
                c_by_f=by.c_by_f * unclipped_f * unclipped_c,
                c_by_g=by.c_by_g * unclipped_g * unclipped_c,
                m_by_o=by.m_by_o * unclipped_o,
                m_by_c=by.m_by_c * unclipped_out,
                c_by_previous=by.c_by_previous * unclipped_c,
            )
        if self.peephole is not None:
            p_i, p_f, p_o = self._peepholes()
            by = by._replace(
                m_by_c=by.m_by_c + by.m_by_o * p_o,
                c_by_previous=by.c_by_previous + by.c_by_i * p_i + by.c_by_f * p_f,
            )
        return by

    def peephole_gradient(self, d_z: Any, c_previous: Any, c: Any) -> Any:
        """Returns δp_i = Σ δz_i ⊙ c_{t-1}, δp_f = Σ δz_f ⊙ c_{t-1}, δp_o = Σ δz_o ⊙ c_t, concatenated (3H,)."""
        d_i, d_f, _, d_o = blocks(d_z, c.shape[-1])
        products = (d_i * c_previous, d_f * c_previous, d_o * c)
        return np.concatenate([mark_over_time(product.sum(0)) for product in products], axis=-1)

    def _peepholes(self) -> tuple[Any, Any, Any]:
        hidden = self.peephole.shape[-1] // 3
        return self.peephole[:hidden], self.peephole[hidden : 2 * hidden], self.peephole[2 * hidden :]


def _clip(array: Any, bound: float | None) -> tuple[Any, Any]:
    return (array, None) if bound is None else clip_with_slope(array, bound)

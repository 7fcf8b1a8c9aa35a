"""One time step of an LSTM with the options of ONNX's operator and of TensorFlow's, and its partial derivatives.

    z_f ← z_f + β                                                β: a forget bias added at run time
    z_i ← z_i + p_i c'   z_f ← z_f + p_f c'                      p: peepholes
    i = f(|z_i|_θ)   f = f(|z_f|_θ), or 1 - i where coupled   g = g(|z_g|_θ)
    c = |f c' + i g|_κ                                           |x|_θ: x held within ±θ
    z_o ← z_o + p_o c
    o = f(|z_o|_θ)   m = o h(|c|_θ)

Sources: https://onnx.ai/onnx/operators/onnx__LSTM.html for clip (θ), activations and coupled gates (``input_forget``);
Gers, Schraudolph & Schmidhuber (2002) for peepholes; Greff et al. (2017) for coupled gates;
https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM for the cell clip (κ) and the forget bias.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from reference.arithmetic import held, over_time
from reference.cell import Cell, Sensitivity, Step, blocks


@dataclass(frozen=True)
class OnnxCell(Cell):
    """A cell with those options.

    Attributes:
        coupled: whether the forget gate is 1 - i; z_f is then not read.
        clip: θ; None for none.
        clips_output: whether the cell state is held within ±θ on its way out too, as ONNX's text says.
        cell_clip: κ; None for none.
        forget_bias: β.
        peephole: p_i, p_f, p_o (3H,); None for none.
    """

    coupled: bool = False
    clip: float | None = None
    clips_output: bool = True
    cell_clip: float | None = None
    forget_bias: float = 0.0
    peephole: Any = None

    @property
    def clips(self) -> bool:
        """Whether something is held within bounds."""
        return self.clip is not None or self.cell_clip is not None

    def with_peephole(self, peephole: Any) -> Self:
        """The same cell with peepholes (3H,)."""
        return replace(self, peephole=peephole)

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward, see ``Cell.step``."""
        z_i, z_f, z_g, z_o = blocks(z, c_previous.shape[-1])
        if self.forget_bias:
            z_f = z_f + self.forget_bias
        if self.peephole is not None:
            p_i, p_f, p_o = self._peepholes()
            z_i, z_f = z_i + p_i * c_previous, z_f + p_f * c_previous
        (z_i, free_i), (z_f, free_f), (z_g, free_g) = (_held(each, self.clip) for each in (z_i, z_f, z_g))
        i, g = self.input_gate(z_i), self.candidate(z_g)
        f = 1.0 - i if self.coupled else self.forget_gate(z_f)
        c, free_c = _held(f * c_previous + i * g, self.cell_clip)
        if self.peephole is not None:
            z_o = z_o + p_o * c
        z_o, free_o = _held(z_o, self.clip)
        o = self.output_gate(z_o)
        c_out, free_out = _held(c, self.clip if self.clips_output else None)
        squashed = self.cell_state(c_out)
        free = None
        if self.clips:
            parts = (free_i, free_f, free_g, free_o, free_c, free_out)
            free = np.concatenate([np.ones(c.shape) if part is None else part for part in parts], axis=-1)
        return o * squashed, c, Step(np.concatenate((i, f, g, o), axis=-1), squashed, free)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """The partial derivatives, see ``Cell.sensitivity``; what bounds hold back is 0."""
        hidden = c_previous.shape[-1]
        i, _, g, _ = blocks(step.gates, hidden)
        by = super().sensitivity(step, c_previous)
        if self.coupled:
            by = by._replace(c_by_i=(g - c_previous) * self.input_gate.slope(i), c_by_f=by.c_by_f * 0.0)
        if step.free is not None:
            free = [step.free[..., part * hidden : (part + 1) * hidden] for part in range(6)]
            by = Sensitivity(
                c_by_i=by.c_by_i * free[0] * free[4],
                c_by_f=by.c_by_f * free[1] * free[4],
                c_by_g=by.c_by_g * free[2] * free[4],
                m_by_o=by.m_by_o * free[3],
                m_by_c=by.m_by_c * free[5],
                c_by_previous=by.c_by_previous * free[4],
            )
        if self.peephole is not None:
            p_i, p_f, p_o = self._peepholes()
            by = by._replace(
                m_by_c=by.m_by_c + by.m_by_o * p_o,
                c_by_previous=by.c_by_previous + by.c_by_i * p_i + by.c_by_f * p_f,
            )
        return by

    def peephole_gradient(self, d_z: Any, c_previous: Any, c: Any) -> Any:
        """The gradient by p (3H,), see ``Cell.peephole_gradient``."""
        d_i, d_f, _, d_o = blocks(d_z, c.shape[-1])
        seen = (d_i * c_previous, d_f * c_previous, d_o * c)
        return np.concatenate([over_time(each.sum(0)) for each in seen], axis=-1)

    def _peepholes(self) -> tuple[Any, Any, Any]:
        hidden = self.peephole.shape[-1] // 3
        return self.peephole[:hidden], self.peephole[hidden : 2 * hidden], self.peephole[2 * hidden :]


def _held(array: Any, bound: float | None) -> tuple[Any, Any]:
    return (array, None) if bound is None else held(array, bound)

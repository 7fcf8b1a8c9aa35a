"""Two independent implementations: scalar loops in 50-digit arithmetic, and torch's autograd in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mpmath import mp, mpf

from conformance.verdict.problem import Problem


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def _clip(z: Any, bound: float | None) -> Any:
    return z if bound is None else max(-mpf(bound), min(mpf(bound), z))


# The constants of ONNX and Keras, repeated so that nothing is shared with the reference.
_SCALAR: dict[str, Callable[[Any], Any]] = {
    "sigmoid": _sigmoid,
    "tanh": mp.tanh,
    "relu": lambda z: max(z, mpf(0)),
    "leaky_relu": lambda z: z if z > 0 else mpf(0.1) * z,
    "elu": lambda z: z if z > 0 else mp.exp(z) - 1,
    "affine": lambda z: mpf(0.75) * z + mpf(0.1),
    "hard_sigmoid": lambda z: max(mpf(0), min(mpf(1), mpf(0.2) * z + mpf(0.5))),
    "hard_sigmoid_6": lambda z: max(mpf(0), min(mpf(1), z / 6 + mpf(0.5))),
    "scaled_tanh": lambda z: mpf(1.2) * mp.tanh(mpf(0.8) * z),
    "softsign": lambda z: z / (1 + abs(z)),
}


def scalar_forward(problem: Problem) -> dict[str, Any]:
    """Computes ``output``, ``h_n`` and ``c_n`` of a time-major problem with scalars and loops, in 50 digits."""
    mp.dps = 50
    case, model = problem.case, problem.case.model
    sequence = [[[mpf(v) for v in row] for row in step] for step in problem.input.tolist()]
    finals: dict[str, list[Any]] = {"h_n": [], "c_n": []}
    for layer, hidden in enumerate(case.hidden_sizes):
        outputs: list[list[list[Any]]] = [[[] for _ in step] for step in sequence]
        for direction, suffix in enumerate(model.suffixes):
            p = {
                name: problem.parameters[f"{name}_l{layer}{suffix}"].tolist()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", *["peephole"] * case.peepholes)
            }
            p.setdefault("peephole", [0.0] * 3 * hidden)
            names = case.activations[3 * direction :] or case.activations
            gate, candidate, cell_state = (_SCALAR[name] for name in names[:3])
            index = layer * model.num_directions + direction
            final_h, final_c = [], []
            for row in range(len(sequence[0])):
                h = [mpf(v) for v in problem.initial_state["h_0"][index, row].tolist()]  # type: ignore[index]
                c = [mpf(v) for v in problem.initial_state["c_0"][index, row].tolist()]  # type: ignore[index]
                times = range(len(sequence)) if suffix == "" else reversed(range(len(sequence)))
                for t in times:
                    if problem.mask is not None and not problem.mask[t, row]:
                        outputs[t][row] += [mpf(0)] * hidden
                        continue
                    x = sequence[t][row]
                    z = [
                        sum(mpf(w) * v for w, v in zip(p["weight_ih"][k], x, strict=True))
                        + sum(mpf(w) * v for w, v in zip(p["weight_hh"][k], h, strict=True))
                        + mpf(p["bias_ih"][k])
                        + mpf(p["bias_hh"][k])
                        for k in range(4 * hidden)
                    ]
                    for j in range(hidden):
                        p_i, p_f, p_o = (mpf(p["peephole"][k * hidden + j]) for k in range(3))
                        z_i, z_f, z_g, z_o = (z[k * hidden + j] for k in range(4))
                        i = gate(_clip(z_i + p_i * c[j], case.clip))
                        f = gate(_clip(z_f + mpf(case.forget_bias) + p_f * c[j], case.clip))
                        g = candidate(_clip(z_g, case.clip))
                        c[j] = _clip((1 - i if case.coupled_gates else f) * c[j] + i * g, case.cell_clip)
                        o = gate(_clip(z_o + p_o * c[j], case.clip))
                        h[j] = o * cell_state(_clip(c[j], case.clip))
                    outputs[t][row] += h
                final_h.append(h)
                final_c.append(c)
            finals["h_n"].append(final_h)
            finals["c_n"].append(final_c)
        sequence = outputs
    return {name: np.array(values, dtype=object) for name, values in {"output": sequence, **finals}.items()}


def torch_solution(problem: Problem) -> dict[str, Any]:
    """Solves a problem without dropout with ``torch.nn.LSTM`` in float64 and autograd."""
    model = problem.case.model
    lstm = torch.nn.LSTM(
        model.input_size,
        model.hidden_sizes[0],
        model.num_layers,
        bias=model.bias,
        batch_first=model.batch_first,
        bidirectional=model.num_directions == 2,
        proj_size=model.proj_size,
        dtype=torch.float64,
    )
    lstm.load_state_dict({name: torch.tensor(array) for name, array in problem.parameters.items()})
    x = torch.tensor(problem.input, requires_grad=True)
    states = {name: torch.tensor(array, requires_grad=True) for name, array in (problem.initial_state or {}).items()}
    lengths = None if problem.lengths is None else torch.tensor(problem.lengths)
    sequence: Any = x
    if lengths is not None:
        sequence = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, model.batch_first, enforce_sorted=False)
    output, (h_n, c_n) = lstm(sequence, tuple(states.values()) or None)
    if lengths is not None:
        steps = problem.case.seq_len
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, model.batch_first, total_length=steps)
    outputs = {"output": output, "h_n": h_n, "c_n": c_n}
    sources = {"input": x, **states, **dict(lstm.named_parameters())}
    cotangents = [torch.tensor(problem.cotangents[name]) for name in outputs]
    gradients = torch.autograd.grad(list(outputs.values()), list(sources.values()), cotangents)
    results = outputs | {f"grad.{name}": g for name, g in zip(sources, gradients, strict=True)}
    return {name: tensor.detach().numpy() for name, tensor in results.items()}

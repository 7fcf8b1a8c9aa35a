"""Reads off the activation of each gate: drives an LSTM so that each result is the value of one activation.

The problem has one time step and five units in each layer and direction, one for each activation. The previous hidden
state holds the argument z of the row, which one gate of each unit reads. The biases saturate the other gates, so that a
result is the value of one activation:

    unit 0: c_1 = i(z)        unit 1: c_1 = f(z)        unit 2: c_1 = g(z)        unit 3: h_1 = o(z)
    unit 4: h_1 = tanh(c_1) with c_1 = z
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.defects.experiment.curves import Floats
from conformance.defects.experiment.trial import Trial, with_block
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to

ACTIVATIONS = ("input gate", "forget gate", "candidate", "output gate", "activation of the cell state")
"""Activations that the five units read off, one each."""
OPTIONS: dict[str, Any] = {"input_size": 2, "hidden_size": 5, "seq_len": 1, "batch": 256}
LARGEST = 12.0
"""Largest argument of an activation. With larger ones, correct implementations would disagree in float32."""

_ON, _OFF = 40.0, -40.0
"""Arguments at which a sigmoid is 1 and 0."""
_GATES = (
    # i      f     g    o
    (None, _OFF, _ON, _ON),
    (_OFF, None, 0.0, _ON),
    (_ON, _OFF, None, _ON),
    (_ON, _ON, _ON, None),
    (_OFF, _ON, 0.0, _ON),
)
"""Arguments of the gates of each unit; None for z."""
_STATES = (0.0, 1.0, 0.0, 18.0, None)
"""Previous cell state of each unit; None for z."""


@dataclass(frozen=True)
class Reading:
    """Values of one activation.

    Attributes:
        layer: index of the layer.
        direction: index of the direction among those of the case.
        activation: index in ``ACTIVATIONS``.
        z: arguments.
        options: values, under different assumptions about the gates that should be saturated, the simplest one first.
    """

    layer: int
    direction: int
    activation: int
    z: Floats
    options: tuple[Floats, ...]


def arguments(draw: int, count: int) -> Floats:
    """Returns arguments of the activations: both ends, 0, and random ones, most of them between -10 and 10."""
    random = np.random.default_rng(draw)
    near, ends = int(0.8 * count), [-LARGEST, 0.0, LARGEST]
    inner = -10.0 + 20.0 * (np.arange(near) + random.random(near)) / near
    outer = random.uniform(-LARGEST, LARGEST, count - near - len(ends))
    return np.concatenate([inner, outer, ends])


def drive(problem: Problem) -> Problem:
    """Returns a problem of the same case that reads off the activations."""
    case = problem.case
    z = arguments(problem.draw, case.rows or 1)
    recurrent, bias = np.zeros((4, 5, 5)), np.zeros((4, 5))
    for unit, gates in enumerate(_GATES):
        for gate, argument in enumerate(gates):
            recurrent[gate, unit, 0] = argument is None
            bias[gate, unit] = argument or 0.0
    states = case.model.num_layers * case.model.num_directions
    h_0, c_0 = np.zeros((2, states, len(z), 5))
    h_0[..., 0] = z
    for unit, state in enumerate(_STATES):
        c_0[..., unit] = z if state is None else state
    driven = {"weight_hh": recurrent.reshape(20, 5), "bias_ih": bias.reshape(20), "h_0": h_0, "c_0": c_0}
    names = [*problem.parameters, "h_0", "c_0"]
    changed = {name: driven.get(name.partition("_l")[0], np.zeros(1)) for name in names}
    shapes = {**problem.parameters, **(problem.initial_state or {})}
    return with_block(
        problem,
        {name: round_to(case.dtype, np.broadcast_to(array, shapes[name].shape)) for name, array in changed.items()},
    )


def readings(trial: Trial) -> Iterator[Reading]:
    """Yields the activations of each layer and direction, as read off a solution."""
    model, problem = trial.case.model, trial.problem
    assert problem.initial_state
    finals: Mapping[str, Any] = {name: np.asarray(trial.judged.solution[name], np.float64) for name in ("h_n", "c_n")}
    for layer in range(model.num_layers):
        for direction in range(model.num_directions):
            h, c = (model.state(finals, name, layer, direction) for name in ("h_n", "c_n"))
            z = np.asarray(model.state(problem.initial_state, "h_0", layer, direction)[:, 0], np.float64)
            # An activation that should be saturated may have another value there. That of the forget gate is known.
            top = np.argmax(z)
            i, f, g, o, squashed = c[:, 0], c[:, 1], c[:, 2], h[:, 3], h[:, 4]
            with np.errstate(all="ignore"):
                options = (
                    (i, i * f[top] / i[top]),
                    (f,),
                    (g, g / f[top], g / i[top]),
                    (o, o * f[top] / o[top]),
                    (squashed, squashed / f[top], squashed / o[top]),
                )
            for activation, values in enumerate(options):
                own = c[:, 4] if activation == 4 else z
                yield Reading(layer, direction, activation, own, values)

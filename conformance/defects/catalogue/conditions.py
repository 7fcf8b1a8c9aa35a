"""Conditions that a case must meet for a defect to apply."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.defect import Defect
from conformance.verdict.values import valid_steps

Condition = Callable[[Case], bool]


def all_of(*conditions: Condition) -> Condition:
    """Returns the condition that all of these hold."""
    return lambda case: all(condition(case) for condition in conditions)


def requiring(condition: Condition, defects: Iterable[Defect]) -> list[Defect]:
    """Returns the defects with an additional condition."""
    return [replace(defect, requires=all_of(condition, defect.requires)) for defect in defects]


# --------------------------------------------------------------------------- architecture


def bidirectional(case: Case) -> bool:
    """Returns whether there are two directions."""
    return case.direction == "bidirectional"


def alike_directions(case: Case) -> bool:
    """Returns whether there are two directions, with the same number of units."""
    return bidirectional(case) and not case.reverse_hidden_size


def unlike_directions(case: Case) -> bool:
    """Returns whether there are two directions, with different numbers of units."""
    return case.reverse_hidden_size is not None


def has_forward(case: Case) -> bool:
    """Returns whether there is a forward direction."""
    return case.direction != "reverse"


def has_reverse(case: Case) -> bool:
    """Returns whether there is a reverse direction."""
    return case.direction != "forward"


def several_layers(case: Case) -> bool:
    """Returns whether there are at least two layers."""
    return case.num_layers > 1


def uniform_layers(case: Case) -> bool:
    """Returns whether all layers and directions have the same hidden size."""
    return case.model.is_uniform


def three_uniform_layers(case: Case) -> bool:
    """Returns whether there are at least three layers, all of the same hidden size."""
    return case.num_layers > 2 and case.model.is_uniform


def connected_layers(case: Case) -> bool:
    """Returns whether some layer reads the output of the layer below, and dropout does not drop all of it."""
    return case.num_layers > 1 and not (case.drops and case.dropout == 1)


def several_units(case: Case) -> bool:
    """Returns whether some layer has at least two units."""
    return max(case.model.distinct_hidden_sizes) > 1


def several_features(case: Case) -> bool:
    """Returns whether the input has at least two features."""
    return case.input_size > 1


def has_biases(case: Case) -> bool:
    """Returns whether the gates have biases."""
    return case.bias


def has_projection(case: Case) -> bool:
    """Returns whether the hidden state is projected."""
    return case.proj_size > 0


def no_projection(case: Case) -> bool:
    """Returns whether the hidden state is not projected, so that it has the size of the cell state."""
    return case.proj_size == 0


# --------------------------------------------------------------------------- rows and steps


def row_lengths(case: Case) -> NDArray[np.int64]:
    """Returns the number of valid steps of each row (B,): T without lengths."""
    lengths = valid_steps(case)
    return np.full(case.rows or 1, case.seq_len) if lengths is None else lengths


def longest(case: Case) -> int:
    """Returns the number of valid steps of the longest row."""
    return int(row_lengths(case).max())


def has_steps(case: Case) -> bool:
    """Returns whether some row has a valid step."""
    return longest(case) > 0


def several_steps(case: Case) -> bool:
    """Returns whether some row has at least two valid steps."""
    return longest(case) > 1


def has_full_row(case: Case) -> bool:
    """Returns whether every step of some row is valid."""
    return longest(case) == case.seq_len


def without_lengths(case: Case) -> bool:
    """Returns whether the case has no lengths, so that every step of every row is valid."""
    return case.lengths is None


def has_padding(case: Case) -> bool:
    """Returns whether some row has padding."""
    return int(row_lengths(case).min()) < case.seq_len


def has_partial_row(case: Case) -> bool:
    """Returns whether some row has both valid steps and padding."""
    lengths = row_lengths(case)
    return bool(((lengths > 0) & (lengths < case.seq_len)).any())


def has_empty_row(case: Case) -> bool:
    """Returns whether some row has no valid step."""
    return int(row_lengths(case).min()) == 0


def first_row_has_steps(case: Case) -> bool:
    """Returns whether the first row has a valid step."""
    return int(row_lengths(case)[0]) > 0


def last_row_has_steps(case: Case) -> bool:
    """Returns whether the last row has a valid step."""
    return int(row_lengths(case)[-1]) > 0


def several_rows(case: Case) -> bool:
    """Returns whether the batch has at least two rows."""
    return (case.rows or 1) > 1


# --------------------------------------------------------------------------- states


def initial_state_of(*names: str) -> Condition:
    """Returns the condition that one of these initial states, ``h_0`` or ``c_0``, is not 0."""
    one = {f"{name}-{how}" for name in names for how in ("only", "given")}
    return lambda case: case.initial_state == "random" or case.initial_state in one


has_initial_state = initial_state_of("h_0", "c_0")
"""Condition that an initial state is not 0."""


def has_previous_h(case: Case) -> bool:
    """Returns whether the previous hidden state of some step is not 0."""
    return several_steps(case) or (has_steps(case) and initial_state_of("h_0")(case))


def has_previous_c(case: Case) -> bool:
    """Returns whether the previous cell state of some step is not 0."""
    return several_steps(case) or (has_steps(case) and initial_state_of("c_0")(case))


# --------------------------------------------------------------------------- gradients


def checks_gradients(case: Case) -> bool:
    """Returns whether the case compares gradients and some row has a valid step."""
    return "gradients" in case.check and has_steps(case)


def checks_initial_state_gradients(case: Case) -> bool:
    """Returns whether the case compares gradients with respect to the initial states."""
    return "gradients" in case.check and case.gives_state


def checks_nonzero_gradients(case: Case) -> bool:
    """Returns whether the case compares gradients that are not all 0."""
    return checks_gradients(case) or checks_initial_state_gradients(case)


def checks_gradients_through_states(case: Case) -> bool:
    """Returns whether the case compares gradients that flow from a step to its previous states."""
    return checks_gradients(case) and (several_steps(case) or case.gives_state)


def forget_gate_matters(case: Case) -> bool:
    """Returns whether the forget gate affects a compared tensor: a state, or the gradient of the initial state."""
    return has_steps(case) and (has_previous_c(case) or checks_initial_state_gradients(case))


def recurrent_weights_matter(case: Case) -> bool:
    """Returns whether recurrent weights affect a compared tensor: a state, or the gradient of the initial state."""
    return has_steps(case) and (has_previous_h(case) or checks_initial_state_gradients(case))


# --------------------------------------------------------------------------- precision


def single_or_double(case: Case) -> bool:
    """Returns whether some row has a valid step, and the dtype is float32 or float64."""
    return has_steps(case) and case.dtype in ("float32", "float64")


def double(case: Case) -> bool:
    """Returns whether some row has a valid step, and the dtype is float64."""
    return has_steps(case) and case.dtype == "float64"

"""Named conditions on a case's problem: padding, frozen tensors, dynamic axes, and numbers of steps, rows and units."""

from collections.abc import Callable, Mapping

from conformance.cases.case import Case
from conformance.cases.uses import is_batch_dynamic, is_time_dynamic
from conformance.verdict.values import step_mask


def has_padding(case: Case) -> bool:
    """Returns whether some step of some row is padding."""
    mask = step_mask(case)
    return mask is not None and not mask.all()


def has_padded_row(case: Case) -> bool:
    """Returns whether some row has both valid steps and padding."""
    mask = step_mask(case)
    return mask is not None and bool((mask.any(axis=0) & ~mask.all(axis=0)).any())


def has_empty_row(case: Case) -> bool:
    """Returns whether some row has no valid step."""
    mask = step_mask(case)
    return mask is not None and not mask.any(axis=0).all()


def has_masked_first_step(case: Case) -> bool:
    """Returns whether in some row the first step that a direction processes is padding."""
    mask = step_mask(case)
    if mask is None:
        return False
    first_steps = {"forward": [0], "reverse": [-1], "bidirectional": [0, -1]}[case.direction]
    return not mask[first_steps].all()


def has_call_of_one_step(case: Case) -> bool:
    """Returns whether the sequence, or a piece of it, has a single time step."""
    return case.seq_len == 1 or 1 in case.chunks


def has_several_steps(case: Case) -> bool:
    """Returns whether there are at least two time steps."""
    return case.seq_len > 1


def has_several_steps_rows_or_directions(case: Case) -> bool:
    """Returns whether there are at least two time steps, two rows or two directions."""
    return case.seq_len > 1 or (case.rows or 1) > 1 or case.model.num_directions > 1


def has_as_many_steps_as_rows(case: Case) -> bool:
    """Returns whether there are as many time steps as rows."""
    return case.seq_len == case.rows


def has_four_units(case: Case) -> bool:
    """Returns whether some layer has at least four units."""
    return max(case.hidden_sizes) >= 4


def has_frozen_input(case: Case) -> bool:
    """Returns whether the input needs no gradient."""
    return "input" in case.frozen


def has_frozen_parameter(case: Case) -> bool:
    """Returns whether some weight or bias needs no gradient."""
    return not case.model.parameter_shapes().keys().isdisjoint(case.frozen)


def has_dynamic_axis(case: Case) -> bool:
    """Returns whether calls of one object differ in their number of steps or of rows."""
    return is_time_dynamic(case) or is_batch_dynamic(case)


def has_dynamic_time_axis(case: Case) -> bool:
    """Returns whether calls of one object differ in their number of steps."""
    return is_time_dynamic(case)


def has_static_axes(case: Case) -> bool:
    """Returns whether calls of one object do not differ in their number of steps or of rows."""
    return not has_dynamic_axis(case)


def has_dynamic_batch_axis(case: Case) -> bool:
    """Returns whether calls of one object differ in their number of rows."""
    return is_batch_dynamic(case)


def has_static_batch_axis(case: Case) -> bool:
    """Returns whether calls of one object do not differ in their number of rows."""
    return not is_batch_dynamic(case)


def has_plain_activations(case: Case) -> bool:
    """Returns whether the activations are sigmoid and tanh without a clip."""
    return case.clip is None and {case.activations[:3], case.activations[-3:]} == {("sigmoid", "tanh", "tanh")}


def has_other_activations(case: Case) -> bool:
    """Returns whether there is a clip or another activation than sigmoid and tanh."""
    return not has_plain_activations(case)


CONDITIONS: Mapping[str, Callable[[Case], bool]] = {
    "padding": has_padding,
    "padded row": has_padded_row,
    "empty row": has_empty_row,
    "masked first step": has_masked_first_step,
    "call of one step": has_call_of_one_step,
    "several steps": has_several_steps,
    "several steps, rows or directions": has_several_steps_rows_or_directions,
    "as many steps as rows": has_as_many_steps_as_rows,
    "four units": has_four_units,
    "frozen input": has_frozen_input,
    "frozen parameter": has_frozen_parameter,
    "dynamic axis": has_dynamic_axis,
    "dynamic time axis": has_dynamic_time_axis,
    "dynamic batch axis": has_dynamic_batch_axis,
    "static axes": has_static_axes,
    "static batch axis": has_static_batch_axis,
    "plain activations": has_plain_activations,
    "other activations": has_other_activations,
}
"""Conditions by the name that entries use."""


def describe(name: str) -> str:
    """Returns the description of a condition, as a clause: "some step of some row is padding"."""
    return (CONDITIONS[name].__doc__ or "").removeprefix("Returns whether ").removesuffix(".")

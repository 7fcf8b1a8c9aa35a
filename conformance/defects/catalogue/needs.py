"""What a case must have for a defect to be one."""

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import longest, remembers, remembers_cell, row_lengths, takes_steps


def forgetting(case: Case) -> bool:
    """The forget gate has something to act on: a cell state before it, or a gradient that is compared."""
    return takes_steps(case) and (remembers_cell(case) or gradients_of_states(case))


def recurring(case: Case) -> bool:
    """The recurrent weights have something to act on: a hidden state before them, or a gradient that is compared."""
    return takes_steps(case) and (remembers(case) or gradients_of_states(case))


def gradients(case: Case) -> bool:
    """Gradients are compared, and some row has a step."""
    return "gradients" in case.check and takes_steps(case)


def gradients_by_forgetting(case: Case) -> bool:
    """Gradients are compared, those by the forget gate's sum among them not all 0."""
    return gradients(case) and remembers_cell(case)


def gradients_between_steps(case: Case) -> bool:
    """Gradients are compared, and flow from one step to another."""
    return gradients(case) and longest(case) > 1


def gradients_into_a_past(case: Case) -> bool:
    """Gradients are compared, and flow out of a step into a state before it."""
    return gradients(case) and (longest(case) > 1 or case.gives_state)


def gradients_of_every_step(case: Case) -> bool:
    """Gradients are compared, and some row takes every step."""
    return gradients(case) and longest(case) == case.seq_len


def gradients_of_first_row(case: Case) -> bool:
    """Gradients are compared, and there are several rows, of which the first has a step."""
    return gradients_of_rows(case) and int(row_lengths(case)[0]) > 0


def gradients_of_last_row(case: Case) -> bool:
    """Gradients are compared, and there are several rows, of which the last has a step."""
    return gradients_of_rows(case) and int(row_lengths(case)[-1]) > 0


def gradients_of_directions(case: Case) -> bool:
    """Gradients are compared, and there are two directions."""
    return gradients(case) and case.model.num_directions == 2


def gradients_of_rows(case: Case) -> bool:
    """Gradients are compared, and there are several rows."""
    return gradients(case) and (case.rows or 1) > 1


def gradients_of_layers(case: Case) -> bool:
    """Gradients are compared, and there are several layers."""
    return gradients(case) and case.num_layers > 1


def gradients_of_states(case: Case) -> bool:
    """Gradients are compared, those by the initial state among them."""
    return "gradients" in case.check and case.gives_state


def gradients_of_some_kind(case: Case) -> bool:
    """Gradients are compared, and not all of them are 0."""
    return gradients(case) or gradients_of_states(case)


def gradients_of_biases(case: Case) -> bool:
    """Gradients are compared, those by the biases among them."""
    return gradients(case) and case.bias


def gradients_of_recurrence(case: Case) -> bool:
    """Gradients are compared, and those by the recurrent weights are not all 0."""
    return gradients(case) and remembers(case)


def gradients_of_equal_states(case: Case) -> bool:
    """Gradients are compared, and h is as wide as c."""
    return gradients_of_some_kind(case) and not case.proj_size


def full_rows(case: Case) -> bool:
    """Every row takes every step."""
    return case.lengths is None


def single(case: Case) -> bool:
    """Computed in single precision or better, in at least a step."""
    return takes_steps(case) and case.dtype in ("float32", "float64")


def double(case: Case) -> bool:
    """Computed in double precision, in at least a step."""
    return takes_steps(case) and case.dtype == "float64"

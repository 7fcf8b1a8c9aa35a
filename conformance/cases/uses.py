"""Uses: ways of using an LSTM beyond one call of a fresh object with contiguous arrays that hold something.

The options of a use are fields of ``Case``. This module has their values, their consistency rules, and how they follow
when the sizes of a case change.
"""

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from conformance.cases.case import Case

Result = Literal["output", "h_n", "c_n"]
EarlierCall = Literal[
    "same",
    "longer",
    "shorter",
    "more-rows",
    "fewer-rows",
    "other-mode",
    "no-grad",
    "error",
    "other-weights",
]
Memory = Literal["contiguous", "strided", "expanded", "aliased", "read-only"]
Batching = Literal["together", "alone", "permuted"]
Graph = Literal["single", "twice", "encoder-decoder", "parallel"]
Mistake = Literal[
    "input-features",
    "input-axes",
    "input-dtype",
    "h_0-layers",
    "c_0-layers",
    "h_0-rows",
    "c_0-rows",
    "h_0-units",
    "c_0-units",
    "lengths-above",
    "lengths-negative",
    "weight-transposed",
]
"""Mistakes in an argument, as its name and what is wrong. ``conformance.verdict.mistakes`` makes them."""

RESULTS: tuple[Result, ...] = ("output", "h_n", "c_n")
"""Results of a forward pass that a loss can read."""
SAME_RESULTS = (
    "built_seq_len",
    "built_batch",
    "chunks",
    "earlier_calls",
    "saved",
    "memory",
    "batching",
    "graph",
    "threads",
)
"""Options that describe how an implementation is used and that do not change what it must return."""
OTHER_GRADIENTS = ("cotangents", "frozen")
"""Options that change which gradients are required, and that do not change the values of a case."""


def check_consistency(case: "Case") -> None:
    """Checks that the use of a case agrees with its other options.

    Raises:
        ValueError: two options contradict each other. The message names both.
    """
    for name in OTHER_GRADIENTS:
        if getattr(case, name) != type(case).model_fields[name].default and "gradients" not in case.check:
            raise ValueError(f"{name} requires 'gradients' in check")
    if case.has_direction and (case.frozen or case.input_nan):
        name, option = "jvp" if "jvp" in case.check else "hvp", "frozen" if case.frozen else "input_nan"
        raise ValueError(f"'{name}' in check cannot be combined with {option}")
    _check_frozen(case)
    _check_pieces(case)
    _check_memory(case)
    _check_mistake(case)
    _check_empty(case)
    _check_graph(case)
    if case.rows is None and (case.built_batch or case.batching != "together"):
        name = "built_batch" if case.built_batch else f"batching: {case.batching}"
        raise ValueError(f"{name} requires a batch axis, but batch is 'unbatched'")
    if case.rows is None and (words := {"more-rows", "fewer-rows"}.intersection(case.earlier_calls)):
        raise ValueError(f"earlier_calls: {min(words)} requires a batch axis, but batch is 'unbatched'")
    if case.drops and (case.chunks or case.batching != "together"):
        name = "chunks" if case.chunks else f"batching: {case.batching}"
        raise ValueError(f"{name} cannot be combined with active dropout, whose masks are drawn for each call")


def _check_frozen(case: "Case") -> None:
    """Checks that each frozen tensor exists and that some gradient is left."""
    states = [name for state in case.given_states for name in case.model.state_shapes(state, case.rows)]
    tensors = ["input", *states, *case.model.parameter_shapes()]
    for name in case.frozen:
        if name not in tensors:
            raise ValueError(f"frozen contains '{name}', which is not a tensor of this case. Use {', '.join(tensors)}")
    if len(case.frozen) == len(tensors):
        raise ValueError("frozen contains every tensor, so that there is no gradient to compare")


def _check_pieces(case: "Case") -> None:
    """Checks that the pieces make up the sequence and can be processed one after the other."""
    if not case.chunks:
        return
    if sum(case.chunks) != case.seq_len:
        raise ValueError(f"chunks have {sum(case.chunks)} steps in total, but seq_len is {case.seq_len}")
    if case.direction != "forward":
        raise ValueError(f"chunks require direction: forward, not {case.direction}, which starts at the last step")
    if case.lengths is not None:
        raise ValueError("chunks cannot be combined with lengths")


def _check_memory(case: "Case") -> None:
    """Checks that the states can be laid out in memory as required."""
    if case.memory == "expanded" and (case.rows is None or not case.gives_state):
        raise ValueError("memory: expanded requires a batch axis and an initial state to broadcast over it")
    if case.memory == "aliased" and (case.initial_state not in ("zero", "random") or case.proj_size):
        raise ValueError("memory: aliased requires initial_state: random or zero, and no proj_size")


def _check_mistake(case: "Case") -> None:
    """Checks that the mistake of a case can be made, and that nothing has to slice or join the wrong argument."""
    if case.refuses is None:
        return
    argument, _, axis = case.refuses.partition("-")
    option = f"refuses: {case.refuses}"
    for derivative in ("gradients", "jvp", "hvp"):
        if derivative in case.check:
            raise ValueError(f"{option} requires check without '{derivative}', because a refused call has none")
    for name in ("chunks", "memory", "batching"):
        if getattr(case, name) != type(case).model_fields[name].default:
            raise ValueError(f"{option} cannot be combined with {name}")
    if case.refuses == "input-axes" and case.rows is None:
        raise ValueError(f"{option} requires a batch axis, but batch is 'unbatched': the additional axis would be one")
    if argument in ("h_0", "c_0"):
        if argument not in case.given_states:
            raise ValueError(f"{option} requires an initial {argument}, but initial_state is '{case.initial_state}'")
        shape = next(iter(case.model.state_shapes(argument, case.rows).values()))
        if axis == "rows" and case.rows is None:
            raise ValueError(f"{option} requires a batch axis, but batch is 'unbatched'")
        if shape[{"layers": 0, "rows": 1, "units": -1}[axis]] < 2:
            raise ValueError(f"{option} requires at least two {axis} in {argument}, but its shape is {shape}")
    if argument == "lengths" and (case.lengths is None or case.mask != "right"):
        raise ValueError(f"{option} requires lengths with mask: right")


def _check_empty(case: "Case") -> None:
    """Checks that a case without steps or rows has no option that needs one."""
    if not case.is_empty:
        return
    for name in ("lengths", "input_nan", "chunks", "memory", "batching", "graph", "refuses"):
        if getattr(case, name) != type(case).model_fields[name].default:
            empty = "seq_len: 0" if case.seq_len == 0 else "batch: 0"
            raise ValueError(f"{empty} cannot be combined with {name}")


def _check_graph(case: "Case") -> None:
    """Checks that two calls of a graph can share the case, and that the size that they share is always the same."""
    if case.graph == "single":
        return
    option = f"graph: {case.graph}"
    for name in ("chunks", "batching", "refuses"):
        if getattr(case, name) != type(case).model_fields[name].default:
            raise ValueError(f"{option} cannot be combined with {name}")
    if case.drops:
        raise ValueError(f"{option} cannot be combined with active dropout, whose masks are drawn for each call")
    if case.graph == "twice":
        if case.num_rows < 2:
            raise ValueError(f"{option} requires at least two rows, some for each call")
        if is_batch_dynamic(case):
            raise ValueError(f"{option} cannot be combined with a built_batch or earlier_calls of other batches")
        return
    if case.lengths is not None:
        raise ValueError(f"{option} cannot be combined with lengths")
    if case.graph == "encoder-decoder":
        if case.seq_len < 2 or case.direction != "forward":
            raise ValueError(f"{option} requires direction: forward and at least two steps, some for each LSTM")
        if is_time_dynamic(case):
            raise ValueError(f"{option} cannot be combined with a built_seq_len or earlier_calls of other lengths")
    if case.graph == "parallel" and (case.num_layers > 1 or case.direction != "bidirectional"):
        raise ValueError(f"{option} requires direction: bidirectional and one layer, so that both LSTMs read the input")
    if case.graph == "parallel" and case.reverse_hidden_size:
        raise ValueError(f"{option} cannot be combined with reverse_hidden_size")


def is_time_dynamic(case: "Case") -> bool:
    """Returns whether calls of one object differ in their number of steps."""
    return bool(case.built_seq_len or case.chunks or not {"longer", "shorter"}.isdisjoint(case.earlier_calls))


def is_batch_dynamic(case: "Case") -> bool:
    """Returns whether calls of one object differ in their number of rows."""
    words = {"more-rows", "fewer-rows"}
    return bool(case.built_batch or case.batching == "alone" or not words.isdisjoint(case.earlier_calls))


def first_part(case: "Case") -> int:
    """Returns the number of rows of the first call in ``graph: twice``, or of steps of the encoder: a third of them."""
    return max(1, (case.seq_len if case.graph == "encoder-decoder" else case.num_rows) // 3)


def fit(case: "Case", steps: int, rows: int | None) -> dict[str, Any]:
    """Returns changes of the use of a case that fit other sizes. A size keeps its relation to the case's own."""
    changes: dict[str, Any] = {}
    if case.graph in ("twice", "encoder-decoder") and (rows or 1 if case.graph == "twice" else steps) < 2:
        changes["graph"] = "single"
    if case.chunks:
        inner = [round(end * steps / case.seq_len) for end in accumulate(case.chunks[:-1])]
        ends = sorted({end for end in inner if 0 < end < steps})
        changes["chunks"] = tuple(end - start for start, end in pairwise([0, *ends, steps]))
    if case.built_seq_len:
        changes["built_seq_len"] = _scaled(case.built_seq_len, case.seq_len, steps)
    if case.built_batch and case.rows and rows:
        changes["built_batch"] = _scaled(case.built_batch, case.rows, rows)
    return changes


def _scaled(built: int, size: int, new_size: int) -> int:
    """Returns a built size for another size of the case: equal, larger or smaller as before."""
    if built >= size:
        return new_size + built - size
    return max(1, min(built, new_size - 1))

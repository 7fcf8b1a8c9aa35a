"""Converts the weights of LSTMs between frameworks, as dictionaries of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.conversion import counterparts
from conformance.conversion.find import find, flatten, recognize, select
from conformance.conversion.framework import Framework, Tensors
from conformance.conversion.frameworks import check_forget_bias, framework
from conformance.conversion.lstm import Array, Lstm, join_directions, join_layers, reverse
from conformance.errors import UserError


@dataclass(frozen=True)
class Joins:
    """How LSTMs that a checkpoint stores separately belong together.

    Attributes:
        bidirectional: whether each two consecutive LSTMs are the directions of one layer, the reverse one second.
        stacked: whether each LSTM reads the output of the one before it.
    """

    bidirectional: bool = False
    stacked: bool = False

    def apply(self, lstms: Sequence[Lstm]) -> list[Lstm]:
        """Returns the LSTMs joined as described."""
        joined = join_directions(lstms) if self.bidirectional else list(lstms)
        return join_layers(joined) if self.stacked else joined


@dataclass(frozen=True)
class Converted:
    """An LSTM before and after a conversion.

    Attributes:
        before: LSTM as read from the source.
        after: LSTM as it reads in the target.
        tensors: arrays of the target by name.
        units: names of the LSTMs that these arrays hold, of which each may be a single layer.
        notes: what changed, one sentence each.
    """

    before: Lstm
    after: Lstm
    tensors: Mapping[str, Array]
    units: Sequence[str]
    notes: Sequence[str]


def convert(
    tensors: Mapping[str, Any],
    source: str = "",
    target: str = "",
    *,
    layer: str | Sequence[str] = (),
    bidirectional: bool = False,
    stack: bool = False,
    keep_others: bool = False,
    forget_bias: float | None = None,
) -> dict[str, Array]:
    """Converts the LSTMs among tensors to another framework's names, gate order, transposition and biases.

    Args:
        tensors: arrays by name, such as a torch ``state_dict``; nested mappings are joined with ``/``.
        source: framework of the tensors; by default, found by their names.
        target: framework to convert to: ``torch``, ``keras``, ``onnx``, ``flax``, ``nnx``, ``mlx``, ``equinox``,
            ``haiku``, ``paddle``, ``openvino``, ``block_lstm`` or ``block_lstm_v2``.
        layer: names of the LSTMs to convert, in which ``*`` matches any text; by default, all.
        bidirectional: whether each two consecutive LSTMs are the directions of one layer.
        stack: whether the LSTMs are the layers of one stack, in the order of the tensors or of ``layer``.
        keep_others: whether to copy all other tensors, unchanged.
        forget_bias: number that ``tf.raw_ops.BlockLSTM`` adds to the forget gate, which no checkpoint contains.

    Returns:
        New arrays by the target's names. If the target has a single bias, it is the sum of both, rounded once.

    Raises:
        UserError: no LSTM is found, an array has a wrong shape or is not finite, or the target has no exact
            counterpart.
    """
    arrays = flatten(tensors)
    wanted = framework(target, forget_bias)
    if source:
        given = framework(source, forget_bias)
        lstms = find(arrays, given)
    else:
        given, lstms = recognize(arrays)
    check_forget_bias(forget_bias, given, wanted)
    lstms = select(lstms, [layer] if isinstance(layer, str) else layer)
    results = [convert_one(lstm, wanted) for lstm in Joins(bidirectional, stack).apply(lstms)]
    return collect(results, others(arrays, lstms) if keep_others else {})


def convert_one(lstm: Lstm, target: Framework) -> Converted:
    """Converts an LSTM, and reads the result back.

    Raises:
        UserError: the LSTM has no exact counterpart.
    """
    adapted, notes = counterparts.adapt(lstm, target)
    tensors = target.pack(adapted)
    written = target.find(tensors, sure=True)
    after = reassemble(written, adapted)
    if change := counterparts.change_of_bias(lstm, after):
        notes.append(f"{lstm.label}the sum of the biases is rounded once, which changes it by at most {change:.2g}")
    return Converted(lstm, after, tensors, [unit.name for unit in written], notes)


def reassemble(lstms: Sequence[Lstm], like: Lstm) -> Lstm:
    """Returns LSTMs that were read one by one as the LSTM that was written.

    Args:
        lstms: layers or directions, in the order in which they were written.
        like: LSTM with the same name, architecture and options.
    """
    direction = like.model.direction
    if direction == "bidirectional" and lstms[0].model.direction == "forward":
        lstms = join_directions(lstms)
    elif direction == "reverse" and lstms[0].model.direction == "forward":
        lstms = [reverse(lstm) for lstm in lstms]
    [whole] = join_layers(lstms)
    return replace(whole, name=like.name, options={**like.options, **whole.options})


def others(tensors: Tensors, lstms: Sequence[Lstm]) -> dict[str, Array]:
    """Returns the tensors that belong to none of the LSTMs."""
    used = {name for lstm in lstms for name in lstm.tensors}
    return {name: array for name, array in tensors.items() if name not in used}


def collect(results: Sequence[Converted], copied: Tensors) -> dict[str, Array]:
    """Returns the arrays of all results, then copied tensors.

    Raises:
        UserError: two arrays have the same name.
    """
    arrays: dict[str, Array] = {}
    for own in (*(result.tensors for result in results), copied):
        if twice := sorted(arrays.keys() & own.keys()):
            raise UserError(f"two tensors would be named {twice[0]}. Use `--layer` to convert one LSTM at a time")
        arrays |= own
    return arrays

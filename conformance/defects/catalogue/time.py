"""Steps taken in the wrong order, and outputs of steps and directions put in the wrong place."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    both_ways,
    every,
    goes_back,
    goes_forth,
    longest,
    needing,
    of_directions,
    of_kinds,
    of_steps,
    padded,
    row_lengths,
    several_rows,
    several_steps,
    takes_steps,
)
from conformance.defects.defect import NOTHING, Arrays, Defect
from reference.layer import Time


def _forwards(steps: int, suffix: str) -> Time:
    del suffix
    return Time(steps, "")


def _backwards(steps: int, suffix: str) -> Time:
    del suffix
    return Time(steps, "_reverse")


def _other_way(steps: int, suffix: str) -> Time:
    return Time(steps, "" if suffix else "_reverse")


def _features_reversed(numbers: Arrays, case: Case) -> Arrays:
    """The reverse direction's weights, so that it reads features from last to first."""
    return of_kinds("weight_ih", move=lambda array, _: array[:, ::-1])(
        {name: array for name, array in numbers.items() if name.endswith("_reverse")}, case
    )


def _reverse_flipped(array: Any, case: Case) -> Any:
    del case
    flipped = array.copy()
    flipped[:, :, -1] = array[::-1, :, -1]
    return flipped


def _forward_for_both(array: Any, case: Case) -> Any:
    del case
    return array[:, :, [0, 0]]


def _interleaved(array: Any, case: Case) -> Any:
    """Stacked behind the units, not in front of them."""
    del case
    return array.swapaxes(2, 3).reshape(array.shape)


def _directions_before_rows(array: Any, case: Case) -> Any:
    """(T, D, B, ·), reshaped as if it were (T, B, D, ·)."""
    del case
    return array.swapaxes(1, 2).reshape(array.shape)


def _directions_before_steps(array: Any, case: Case) -> Any:
    """(D, T, B, ·), reshaped as if it were (T, B, D, ·)."""
    del case
    return np.moveaxis(array, 2, 0).reshape(array.shape)


def _stale_step(array: Any, case: Case) -> Any:
    """The longest row reads a step twice, in its middle."""
    stale, lengths = array.copy(), row_lengths(case)
    row = int(lengths.argmax())
    step = max(1, longest(case) // 2)
    stale[step, row] = array[step - 1, row]
    return stale


def _step_late(array: Any, case: Case) -> Any:
    del case
    late = np.roll(array, 1, axis=0)
    late[0] = NOTHING
    return late


def _last_from_before(array: Any, case: Case) -> Any:
    last, stale = longest(case) - 1, array.copy()
    stale[last] = array[last - 1]
    return stale


def _without_step(step: int) -> Any:
    def move(array: Any, case: Case) -> Any:
        lacking = array.copy()
        lacking[step if step >= 0 else longest(case) + step] = NOTHING
        return lacking

    return move


def _second_half_nothing(array: Any, case: Case) -> Any:
    lacking = array.copy()
    lacking[(longest(case) + 1) // 2 :] = NOTHING
    return lacking


def _one_unit(array: Any, case: Case) -> Any:
    """The last unit of the last row at the last step is that of the step before."""
    stale, row, last = array.copy(), int(row_lengths(case).argmax()), longest(case) - 1
    stale[last, row, -1] = array[last - 1, row, -1]
    return stale


DEFECTS = needing(
    takes_steps,
    [
        Defect(
            id="reverse-ignored",
            what="whose reverse direction runs forward",
            stands_for="onnx#7935, candle",
            applies=every(goes_back, several_steps),
            clock=_forwards,
        ),
        Defect(
            id="forward-runs-in-reverse",
            what="whose forward direction runs in reverse too",
            applies=every(goes_forth, several_steps),
            clock=_backwards,
        ),
        Defect(
            id="directions-of-time-swapped",
            what="whose forward direction runs in reverse and whose reverse direction runs forward",
            applies=every(both_ways, several_steps),
            clock=_other_way,
        ),
        Defect(
            id="features-reversed-not-time",
            what="whose reverse direction goes through features, not steps, last one first",
            stands_for="onnx2c#95",
            applies=every(goes_back, several_steps),
            reads=_features_reversed,
            clock=_forwards,
        ),
        Defect(
            id="reverse-output-in-order-of-processing",
            what="whose reverse direction answers the output of the last step first",
            stands_for="onnxruntime#4187",
            applies=every(goes_back, several_steps),
            answers=of_directions(_reverse_flipped),
        ),
        Defect(
            id="reverse-output-is-forward",
            what="that answers the forward direction's output for both",
            stands_for="tflearn#522",
            applies=both_ways,
            answers=of_directions(_forward_for_both),
        ),
        Defect(
            id="output-directions-swapped",
            what="that answers the reverse direction's output in front of the forward one's",
            applies=both_ways,
            answers=of_directions(lambda array, _: array[:, :, ::-1]),
        ),
        Defect(
            id="output-directions-interleaved",
            what="that interleaves the units of both directions in its output",
            applies=every(both_ways, lambda case: case.model.state_size(case.num_layers - 1) > 1),
            answers=of_directions(_interleaved),
        ),
        Defect(
            id="output-directions-before-rows",
            what="whose output has directions before rows in memory, not behind them",
            stands_for="onnx LSTM, whose output is so",
            applies=every(both_ways, several_rows),
            answers=of_directions(_directions_before_rows),
        ),
        Defect(
            id="output-directions-before-steps",
            what="whose output has directions before steps in memory, not behind rows",
            applies=every(both_ways, lambda case: case.seq_len * (case.rows or 1) > 1),
            answers=of_directions(_directions_before_steps),
        ),
        Defect(
            id="output-reversed",
            what="that answers its output last step first",
            applies=several_steps,
            answers=of_steps("output", lambda array, _: array[::-1]),
        ),
        Defect(
            id="input-step-stale",
            what="one row of which reads the same step of the input twice and skips the next",
            applies=several_steps,
            reads=of_steps("input", _stale_step),
        ),
        Defect(
            id="input-a-step-late",
            what="that reads each step of the input one step late, and zeros at first",
            reads=of_steps("input", _step_late),
        ),
        Defect(
            id="input-of-first-step-in-all",
            what="that reads the first step of the input at every step",
            applies=several_steps,
            reads=of_steps("input", lambda array, _: np.broadcast_to(array[:1], array.shape)),
        ),
        Defect(
            id="input-of-last-step-ignored",
            what="that reads zeros at the last step of the input",
            reads=of_steps("input", _without_step(-1)),
        ),
        Defect(
            id="input-of-first-step-ignored",
            what="that reads zeros at the first step of the input",
            reads=of_steps("input", _without_step(0)),
        ),
        Defect(
            id="output-a-step-late",
            what="that answers the output of each step one step late",
            applies=every(several_steps, lambda case: not padded(case)),
            answers=of_steps("output", _step_late),
        ),
        Defect(
            id="output-of-first-step-never-written",
            what="that answers zeros as the output of the first step",
            answers=of_steps("output", _without_step(0)),
        ),
        Defect(
            id="output-of-last-step-never-written",
            what="that answers zeros as the output of the last step",
            applies=several_steps,
            answers=of_steps("output", _without_step(-1)),
        ),
        Defect(
            id="output-of-last-step-stale",
            what="that answers the output of the last step but one as that of the last",
            applies=several_steps,
            answers=of_steps("output", _last_from_before),
        ),
        Defect(
            id="output-of-last-unit-stale",
            what="one element of whose output, in the last step, is that of the step before",
            applies=several_steps,
            answers=of_steps("output", _one_unit),
        ),
        Defect(
            id="output-of-second-half-never-written",
            what="that answers zeros as the output of the second half of its steps",
            applies=several_steps,
            answers=of_steps("output", _second_half_nothing),
        ),
    ],
)

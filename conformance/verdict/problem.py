"""Problems: the arrays of a case. The same case and draw give the same bytes on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.mistakes import make_mistake
from conformance.verdict.random_arrays import Array, RandomArrays, round_to
from conformance.verdict.values import (
    draw_dropout_masks,
    draw_initial_state,
    draw_input,
    draw_parameter,
    draw_tangents,
    frozen,
    leading_axes,
    step_mask,
    valid_steps,
)
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell
from reference.model import Shape
from reference.onnx_cell import OnnxCell

Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class Problem:
    """A case with concrete numbers.

    Arrays are read-only, C-contiguous and have the case's dtype. NumPy has no bfloat16, so bfloat16 values are stored
    as float32.

    Attributes:
        case: the case.
        parameters: parameters by canonical name, with the gates in the order i, f, g, o (see ``reference.model``).
        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0`` (L · D, B, ·), or ``h_0_l0`` … if hidden sizes differ, see ``Model``; None if
            the case omits them. One of them is missing if the case gives only the other.
        mask: valid steps, time-major (T, B); None if all steps are valid.
        lengths: number of valid steps of each row (B,), if the padding follows them; else None.
        dropout_masks: float64 factors 0 or 1 / (1 - p); empty without dropout. ``l0``, ``l1`` … multiply the output of
            a layer before the next layer reads it, time-major (T, B, ·). ``input_l0``, ``input_l0_reverse`` … multiply
            the input of one direction of a layer at every step (B, ·). ``recurrent_l0`` … multiply its hidden state
            before the recurrent weights at every step (B, ·).
        cotangents: cotangents of the results that the loss reads, by default of ``output``, ``h_n`` and ``c_n``, with
            their shapes.
        tangents: direction of the derivatives ``jvp`` and ``hvp``: an array for ``input``, each initial state that is
            given and each parameter, with their shapes; empty if the case compares neither.
        draw: number of the draw: 0 for the case's own values, others for further independent draws.
        wrong: array to pass in place of the one with that name, if the implementation must refuse it; else empty.
    """

    case: Case
    parameters: Tensors
    input: Array
    initial_state: Tensors | None
    mask: NDArray[np.bool_] | None
    lengths: NDArray[np.int64] | None
    dropout_masks: Tensors
    cotangents: Tensors
    draw: int = 0
    tangents: Tensors = field(default_factory=dict)
    wrong: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def under(self, dialect: Dialect) -> "Problem":
        """Returns the problem for an implementation that follows a dialect.

        If the dialect leaves the output in the padding unspecified, its cotangent there is 0.
        """
        specified = self.specified_steps(dialect)
        if specified is None or "output" not in self.cotangents:
            return self
        output = self.cotangents["output"] * specified[..., None].astype(self.cotangents["output"].dtype)
        return replace(self, cotangents={**self.cotangents, "output": output})

    def copied(self) -> "Problem":
        """Returns the problem with copies of all its arrays."""

        def copied(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: copied(array) for name, array in value.items()}
            return frozen(value.copy()) if isinstance(value, np.ndarray) else value

        return replace(self, **{each.name: copied(getattr(self, each.name)) for each in fields(self)})

    def take_rows(self, rows: slice) -> "Problem":
        """Returns the problem with some of its rows."""
        case = self.case.model_copy(update={"batch": len(range(self.case.num_rows)[rows])})

        def taken(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
            axes = {name: axes_of(case, name) for name in arrays}
            return {
                name: array[(*[slice(None)] * axes[name].index("row"), rows)] if "row" in axes[name] else array
                for name, array in arrays.items()
            }

        return replace(
            self,
            case=case,
            input=taken({"input": self.input})["input"],
            initial_state=self.initial_state and taken(self.initial_state),
            mask=None if self.mask is None else self.mask[:, rows],
            lengths=None if self.lengths is None else self.lengths[rows],
            dropout_masks={
                name: mask[:, rows] if mask.ndim == 3 else mask[rows] for name, mask in self.dropout_masks.items()
            },
            cotangents=taken(self.cotangents),
            tangents=taken(self.tangents),
        )

    def complete_state(self) -> Tensors:
        """Returns h_0 and c_0, with zeros in place of those that are not given."""
        return self._complete_state(self.initial_state or {})

    def complete_tangents(self) -> Tensors:
        """Returns the direction, with zeros for an initial state that is not given."""
        return {**self.tangents, **self._complete_state(self.tangents)}

    def _complete_state(self, given: Tensors) -> Tensors:
        """Returns arrays for h_0 and c_0, with zeros in place of those that are not given."""
        case = self.case
        shapes = {**case.model.state_shapes("h_0", case.rows), **case.model.state_shapes("c_0", case.rows)}
        return {name: given[name] if name in given else np.zeros(shape) for name, shape in shapes.items()}

    def complete_cotangents(self) -> Tensors:
        """Returns the cotangents of all results, with zeros for those that the loss does not read."""
        shapes = self.result_shapes()
        return {name: self.cotangents.get(name, np.zeros(shape)) for name, shape in shapes.items()}

    def result_shapes(self) -> dict[str, Shape]:
        """Returns the shapes of ``output``, ``h_n`` and ``c_n``."""
        case, model = self.case, self.case.model
        states = {**model.state_shapes("h_n", case.rows), **model.state_shapes("c_n", case.rows)}
        return {"output": self.output_shape, **states}

    def specified_steps(self, dialect: Dialect) -> NDArray[np.bool_] | None:
        """Returns the rows and steps of ``output`` that a dialect specifies, as a mask; None if it specifies all."""
        if dialect.padding != "unspecified" or self.mask is None:
            return None
        flipped = self.case.direction == "reverse" and dialect.reverse_output == "processing"
        specified = self.mask[::-1] if flipped else self.mask
        return specified.T if self.case.batch_first else specified

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all arrays by unique names: ``input``, ``lengths``, ``h_0``, ``cotangent.output`` and so on."""
        optional = {"lengths": self.lengths, "mask": self.mask}
        return {
            "input": self.input,
            **{name: array for name, array in optional.items() if array is not None},
            **self.parameters,
            **(self.initial_state or {}),
            **{f"dropout_mask.{name}": mask for name, mask in self.dropout_masks.items()},
            **{f"cotangent.{name}": array for name, array in self.cotangents.items()},
            **{f"tangent.{name}": array for name, array in self.tangents.items()},
            **{f"wrong.{name}": array for name, array in self.wrong.items()},
        }

    @property
    def output_shape(self) -> Shape:
        """Shape of ``output``: that of the input, with the width of the last layer."""
        return (*self.input.shape[:-1], self.case.model.output_size())

    def expected_shapes(self) -> dict[str, Shape]:
        """Returns the shapes of the tensors that a solution must contain, in the order of comparison."""
        case = self.case
        shapes = {name: shape for name, shape in self.result_shapes().items() if kind_of(name) in case.check}
        leaves = {"input": self.input, **(self.initial_state or {}), **self.parameters}
        if "gradients" in case.check:
            shapes |= {f"grad.{name}": array.shape for name, array in leaves.items() if name not in case.frozen}
        if "jvp" in case.check:
            shapes |= {f"jvp.{name}": shape for name, shape in self.result_shapes().items()}
        if "hvp" in case.check:
            shapes |= {f"hvp.{name}": array.shape for name, array in leaves.items()}
        return shapes


def kind_of(name: str) -> str:
    """Returns the result to which a tensor belongs: ``h_n`` for ``h_n_l1``."""
    return name if name == "output" else name[:3]


def source_of(name: str) -> str:
    """Returns a tensor's name without its prefix: ``input`` for ``grad.input``, ``output`` for ``jvp.output``."""
    return name.rpartition(".")[2]


def axes_of(case: Case, name: str) -> tuple[str, ...]:
    """Returns the names of a tensor's axes."""
    name = source_of(name)
    rows = () if case.rows is None else ("row",)
    if name in ("output", "input"):
        return (
            *(("row", "step") if case.batch_first and rows else ("step", *rows)),
            "unit" if name == "output" else "feature",
        )
    if name[:3] in ("h_n", "c_n", "h_0", "c_0"):
        return ("layer·direction" if case.model.is_uniform else "direction", *rows, "unit")
    if name.startswith(("bias", "peephole")):
        return ("gate·unit",)
    if name.startswith("weight_hr"):
        return ("projected unit", "unit")
    if name.startswith("weight_hh"):
        return ("gate·unit", "previous unit")
    return ("gate·unit", "feature" if name.startswith("weight_ih_l0") else "input unit")


def make_problem(case: Case, draw: int = 0) -> Problem:
    """Draws the values of a case.

    Args:
        case: the case.
        draw: number of the draw. Each number gives independent values; 0 gives the case's own.
    """
    random = RandomArrays(f"{case.drawn_from}#{draw}", case.dtype)
    model = case.model
    weights = {name: draw_parameter(random, case, name, shape) for name, shape in model.parameter_shapes().items()}
    mask = step_mask(case)
    steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
    result_shapes = {
        "output": (*leading_axes(case, steps), model.output_size()),
        **model.state_shapes("h_n", case.rows),
        **model.state_shapes("c_n", case.rows),
    }
    problem = Problem(
        case=case,
        parameters=weights,
        input=draw_input(random, case, mask, (*steps, model.input_size)),
        initial_state=draw_initial_state(random, case),
        mask=mask,
        lengths=valid_steps(case) if case.mask == "right" else None,
        dropout_masks=draw_dropout_masks(random, case),
        cotangents={
            name: random.normal(f"cotangent.{name}", shape)
            for name, shape in result_shapes.items()
            if kind_of(name) in case.cotangents
        },
        draw=draw,
        tangents=draw_tangents(random, case),
    )
    return replace(problem, wrong=make_mistake(case, problem.arrays())) if case.refuses else problem


def normalize_dialect(case: Case, dialect: Dialect) -> Dialect:
    """Replaces the conventions of a dialect that do not affect a case by their defaults.

    Implementations whose dialects do not differ for a case then share its expectation.
    """
    lengths = valid_steps(case)
    irrelevant = {
        "padding": lengths is None,
        "zero_length": case.seq_len > 0 and (lengths is None or bool(lengths.all())),
        "clip": case.clip is None,
        "reverse_output": case.direction != "reverse",
    }
    return replace(dialect, **{name: getattr(Dialect(), name) for name, holds in irrelevant.items() if holds})


def cells(case: Case, dialect: Dialect) -> dict[str, Cell]:
    """Returns the cell of each direction, by the suffix of its parameters' names."""
    if case.is_plain:
        return dict.fromkeys(case.model.suffixes, Cell())

    def round_bound(number: float | None) -> float | None:
        """Rounds a bound to the case's dtype. Clipped results must equal the rounded bound exactly."""
        return None if number is None else float(round_to(case.dtype, np.array(number)))

    found: dict[str, Cell] = {}
    for direction, suffix in enumerate(case.model.suffixes):
        names = case.activations[3 * direction : 3 * direction + 3] or case.activations
        gate, candidate, cell_state = (ACTIVATIONS[name] for name in names)
        found[suffix] = OnnxCell(
            gate,
            gate,
            candidate,
            gate,
            cell_state,
            coupled=case.coupled_gates,
            clip=round_bound(case.clip),
            clips_output=dialect.clip == "activations",
            cell_clip=round_bound(case.cell_clip),
            forget_bias=case.forget_bias,
        )
    return found

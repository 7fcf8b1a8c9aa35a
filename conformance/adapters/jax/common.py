"""Base class of the JAX adapters. It converts problems to pytrees and compiles a function with its gradients."""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, graph, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.layout import Layout
from conformance.cases.case import Case
from conformance.cases.uses import RESULTS
from conformance.verdict.problem import Problem
from reference import Model

Array = NDArray[np.floating]

USES = frozenset(
    {"partial loss", "chunks", "repeated call",
     "after other lengths", "after other batches", "after no-grad", "after an error", "after other weights", "saved",
     "rows alone", "rows permuted", "forward derivatives", "second derivatives", "other threads"}
) | graph.USES  # fmt: skip
"""Uses of a function that JAX compiles for each shape. It is not built for one: ``after other lengths`` covers that."""


ARGUMENTS = frozenset({"empty sequence", "empty batch", "wrong input", "wrong state"})
"""Empty and wrong arguments that a function can be given. JAX compiles it for them, too."""
LACKS = {
    "wrong dtype": "JAX promotes arguments of different dtypes to a common one",
    "wrong lengths": "JAX cannot raise an error that depends on the values of an array",
}
"""Reasons why JAX does not refuse other arguments."""


@dataclass(frozen=True)
class Options:
    """Static options of a compiled function. JAX compiles it once for each combination of options and shapes.

    Attributes:
        model: architecture of the LSTM.
        dtype: name of the dtype, such as ``float32``.
        batched: whether the input has a batch axis.
        activations: names of the activations, three per direction or three for both.
        pieces: case whose pieces of the sequence or of the batch are passed, or whose graph has two calls; None for one
            call.
        cotangents: results that the loss reads: ``output``, ``h_n``, ``c_n``.
    """

    model: Model
    dtype: str
    batched: bool
    activations: tuple[str, ...]
    pieces: Case | None = None
    cotangents: tuple[str, ...] = RESULTS

    @property
    def time_major(self) -> bool:
        """Returns whether time is the first axis of the input."""
        return not (self.batched and self.model.batch_first)


class JaxAdapter(Adapter):
    """Adapter for an LSTM in JAX. Subclasses implement ``run``, which applies the library's layers to traced arrays."""

    layout: ClassVar[Layout]
    default_tag = "core"

    def layout_of(self, case: Case) -> Layout:
        """Returns the layout in which the library stores the weights of a case."""
        del case
        return self.layout

    @abstractmethod
    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """Returns the output, and (h, c) of the last step for each layer and direction. JAX traces this method.

        Args:
            options: architecture, dtype and axes.
            weights: arrays by their names in ``layout``, for each layer and direction.
            x: input (T, B, I), (B, T, I) or (T, I), as in the case.
            initial: (h, c) for each layer and direction; None if the case omits the initial state.
            lengths: number of valid steps of each row (B,); None if all steps are valid.
        """

    def solve(self, problem: Problem) -> Solution:
        """Makes the earlier calls of the compiled function, then runs it and returns its results by canonical names."""
        import jax

        case = problem.case
        # Without x64, JAX converts float64 arrays to float32. With x64, float32 cases would not run as users run them.
        with (
            jax.enable_x64(case.dtype == "float64"),
            jax.default_device(jax.devices("cpu")[0]),
            _full_tracebacks() if case.refuses else nullcontext(),
        ):
            make_earlier_calls(
                problem,
                lambda earlier, differentiates: self._call(
                    earlier, frozenset({"gradients"}) if differentiates else frozenset()
                ),
            )
            results = self._call(problem, frozenset({"gradients", "jvp", "hvp"}.intersection(case.check)))
        return {name: results[name] for name in problem.expected_shapes()}

    def _call(self, problem: Problem, derivatives: frozenset[str]) -> dict[str, Array]:
        """Calls the compiled function once and returns its results, with these derivatives."""
        import jax

        case, model, layout = problem.case, problem.case.model, self.layout_of(problem.case)
        pieces = case if case.chunks or case.batching != "together" or case.graph != "single" else None
        options = Options(model, case.dtype, case.rows is not None, case.activations, pieces, case.cotangents)
        layers, arguments = range(model.num_layers), uses.arguments(problem)

        def pairs(given: Any, names: tuple[str, str]) -> list[list[tuple[Array, Array]]]:
            rows = [arrays.states(given, model, layer, names) for layer in layers]
            return [list(zip(row[0::2], row[1::2], strict=True)) for row in rows]

        initial = None if problem.initial_state is None else pairs(arguments, ("h_0", "c_0"))
        packed: Any = [arrays.packed(problem, layout, layer) for layer in layers]
        complete = problem.complete_cotangents()
        cotangents = _read(complete["output"], pairs(complete, ("h_n", "c_n")), case.cotangents)
        lengths = None if problem.lengths is None else problem.lengths.astype(np.int32)
        # Converts in NumPy. jax.numpy.array would compile a program for each shape.
        convert = partial(jax.numpy.asarray, dtype=case.dtype)
        tensors = jax.tree.map(convert, [packed, arguments["input"], initial])
        if case.saved:
            tensors[0] = self.save_and_load(tensors[0])
        weights = jax.tree.map(convert, cotangents)
        tangents: Any = None
        if not derivatives.isdisjoint(("jvp", "hvp")):
            own = [arrays.packed_tangents(problem, layout, layer) for layer in layers]
            states = None if initial is None else pairs(problem.tangents, ("h_0", "c_0"))
            along = [own, problem.tangents["input"], states]
            tangents = jax.tree.map(convert, along)
        function = compile_run(self.run, options, derivatives)
        found = jax.tree.map(_to_array, function(*tensors, lengths, weights, tangents))
        results: dict[str, Array] = {}
        for prefix in (prefix for prefix in ("", "jvp.") if prefix in found):
            output, finals = found[prefix]
            results |= {f"{prefix}output": output, **_name_states(model, prefix + "{}_n", finals)}
        for prefix in (prefix for prefix in ("grad.", "hvp.") if prefix in found):
            own, results[f"{prefix}input"], states = found[prefix]
            results |= _name_states(model, prefix + "{}_0", states) if states is not None else {}
            for layer, of_layer in enumerate(own):
                named = arrays.weight_gradients(model, layout, layer, of_layer)
                results |= {prefix + name.removeprefix("grad."): array for name, array in named.items()}
        return results

    def save_and_load(self, weights: Any) -> Any:
        """Saves weights by the library's own means, and loads them into arrays of zeros."""
        raise NotImplementedError(f"{self.name} does not list the feature 'saved'")

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how outputs and gradients are computed."""
        import jax

        return {
            "jax": jax.__version__,
            "jaxlib": version("jaxlib"),
            "device": jax.devices("cpu")[0].device_kind,
            "threads": f"XLA's thread pool on {os.cpu_count()} processors",
            "float64": "jax.enable_x64, for float64 cases only",
            "gradients": "jax.vjp, and jax.grad of ⟨gradient, direction⟩ for second derivatives; forward mode: jax.jvp",
            "path": "jax.jit of outputs, final states and gradients, compiled once per shape",
        }


@lru_cache(maxsize=16)
def compile_run(run: Callable[..., Any], options: Options, derivatives: frozenset[str]) -> Callable[..., Any]:
    """Returns a jitted function of weights, input, initial states, lengths, cotangents and a direction.

    JAX compiles it once per shape. It returns a dictionary. The entry with an empty key holds the output and the final
    states.

    Args:
        run: ``JaxAdapter.run``.
        options: static options.
        derivatives: what else to return: ``gradients`` of weights, input and initial states under ``grad.``; ``jvp``,
            derivatives of the results, under ``jvp.``; ``hvp``, derivatives of the gradients, under ``hvp.``.
    """
    import jax

    def use(weights: Any, x: Any, initial: Any, lengths: Any) -> Any:
        if options.pieces is None:
            return run(options, weights, x, initial, lengths)
        return _run_pieces(run, options, options.pieces, weights, x, initial, lengths)

    def differentiate(weights: Any, x: Any, initial: Any, lengths: Any, cotangents: Any, tangents: Any) -> Any:
        sources = (weights, x, initial)

        def results(weights: Any, x: Any, initial: Any) -> Any:
            return use(weights, x, initial, lengths)

        def gradients(*sources: Any) -> Any:
            def loss(*sources: Any) -> Any:
                output, finals = results(*sources)
                return _read(output, finals, options.cotangents), (output, finals)

            _, pullback, found = jax.vjp(loss, *sources, has_aux=True)
            return pullback(cotangents), found

        def along_direction(*sources: Any) -> Any:
            products = jax.tree.map(lambda gradient, along: (gradient * along).sum(), gradients(*sources)[0], direction)
            return sum(jax.tree.leaves(products))

        direction = None if tangents is None else tuple(tangents)
        found: dict[str, Any] = {}
        if "gradients" in derivatives:
            found["grad."], found[""] = gradients(*sources)
        else:
            found[""] = results(*sources)
        if "jvp" in derivatives:
            found["jvp."] = jax.jvp(results, sources, direction)[1]
        if "hvp" in derivatives:
            found["hvp."] = jax.grad(along_direction, argnums=(0, 1, 2))(*sources)
        return found

    return jax.jit(differentiate)  # type: ignore[no-any-return]


@contextmanager
def _full_tracebacks() -> Iterator[None]:
    """Keeps JAX's own frames in tracebacks, which show that JAX raised an error and not the function that it traced."""
    import jax

    before = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", "off")
    try:
        yield
    finally:
        jax.config.update("jax_traceback_filtering", before)


def _read(output: Any, finals: Any, names: tuple[str, ...]) -> list[Any]:
    """Returns the results that a loss reads, of an output and of (h, c) of each layer and direction."""
    states = {name: [[pair[k] for pair in layer] for layer in finals] for k, name in enumerate(("h_n", "c_n"))}
    return [of for name, of in {"output": output, **states}.items() if name in names]


def _run_pieces(
    run: Callable[..., Any], options: Options, case: Case, weights: Any, x: Any, initial: Any, lengths: Any
) -> tuple[Any, Any]:
    """Runs the pieces of the sequence or of the batch, or the calls of a graph, each a call of the library's layers."""
    import jax

    layers = options.model.num_layers

    def named(time: str, states: Any) -> dict[str, Any]:
        return uses.name_states(time, [[state for pair in layer for state in pair] for layer in states])

    def pairs(time: str, arrays: uses.Named) -> list[list[tuple[Any, Any]]]:
        of_layers = uses.states_by_layer(time, arrays, layers)
        return [list(zip(states[0::2], states[1::2], strict=True)) for states in of_layers]

    def call(options: Options, weights: Any, given: uses.Named) -> uses.Named:
        state = pairs("0", given) if "h_0_l0_0" in given else None
        output, finals = run(options, weights, given["input"], state, given.get("lengths"))
        return {"output": output, **named("n", finals)}

    given = {"input": x, **named("0", initial or ())} | ({} if lengths is None else {"lengths": lengths})
    own, join = partial(call, options, weights), jax.numpy.concatenate
    if case.graph == "single":
        results = uses.run(case, own, given, join, uses.rows_first)
    elif case.graph == "parallel":
        model = replace(options.model, direction="forward")
        both = [
            partial(call, replace(options, model=model, activations=names), [[own]])
            for own, names in zip(weights[0], graph.activations_apart(options.activations), strict=True)
        ]
        results = graph.run(case, both, given, join, jax.numpy.flip)
    else:
        results = graph.run(case, (own, own), given, join, jax.numpy.flip)
    return results["output"], pairs("n", results)


def _to_array(tensor: Any) -> Array:
    """Copies a tensor to a NumPy array. bfloat16, which NumPy lacks, becomes float32."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype.name == "bfloat16" else tensor.dtype, order="C")


def _name_states(model: Model, name: str, states: Any) -> dict[str, Array]:
    """Returns (h, c) of each layer and direction under their canonical names."""
    return {
        tensor: array
        for position, state in enumerate("hc")
        for tensor, array in arrays.stacked(
            model, name.format(state), [[pair[position] for pair in layer] for layer in states]
        ).items()
    }

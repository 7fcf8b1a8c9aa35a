"""Keras' back end JAX."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.functions import StackFunction, StackInputs, Tensors
from conformance.adapters.keras.loss import Loss
from conformance.verdict.random_arrays import Array


class Jax(Backend):
    """JAX, which differentiates functions."""

    name = "jax"

    def describe(self) -> dict[str, str]:
        """Returns version and device, and how gradients are computed."""
        import jax

        return {
            "jax": jax.__version__,
            "device": str(jax.devices()[0]),
            "gradients": "jax.vjp, twice for second derivatives; forward mode: jax.jvp",
        }

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts with ``jax.numpy.asarray``."""
        self.keras()
        import jax.numpy as jnp

        return jnp.asarray(array, dtype)

    def to_array(self, tensor: Any) -> Array:
        """Copies to NumPy."""
        return _keras.copy_array(tensor)

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts with ``jax.numpy.asarray``."""
        import jax.numpy as jnp

        return jnp.asarray(valid)

    def run(self, stack: StackFunction, inputs: StackInputs, loss: Loss | None) -> tuple[list[Array], list[Array]]:
        """Differentiates with ``jax.vjp``."""
        import jax

        if loss is None:
            return [self.to_array(target) for target in stack(*inputs)], []
        sources, run = _by_sources(stack, inputs)

        def read(trained: Sequence[Any]) -> tuple[Tensors, Tensors]:
            rest, marked = iter(trained), zip(sources, loss.trained, strict=True)
            targets = run([next(rest) if is_trained else source for source, is_trained in marked])
            return loss.read(targets)[0], targets

        results, pullback, targets = jax.vjp(read, loss.select(sources), has_aux=True)
        [gradients] = pullback(_cotangents(loss, results))
        return [self.to_array(target) for target in targets], [self.to_array(gradient) for gradient in gradients]

    def forward_derivatives(self, stack: StackFunction, inputs: StackInputs, direction: Tensors) -> list[Array]:
        """Differentiates with ``jax.jvp``."""
        import jax

        sources, run = _by_sources(stack, inputs)
        _, tangents = jax.jvp(run, (sources,), (direction,))
        return [self.to_array(tangent) for tangent in tangents]

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Differentiates the gradient with ``jax.vjp``."""
        import jax

        sources, run = _by_sources(stack, inputs)

        def differentiate(sources: Tensors) -> Tensors:
            results, pullback = jax.vjp(lambda sources: loss.read(run(sources))[0], sources)
            [gradients] = pullback(_cotangents(loss, results))
            return gradients  # type: ignore[no-any-return]

        _, pullback = jax.vjp(differentiate, sources)
        [products] = pullback(direction)
        return [self.to_array(product) for product in products]


def _by_sources(stack: StackFunction, inputs: StackInputs) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """Returns the tensors of ``flatten_sources(inputs)``, and the stack as a function of these."""
    import jax

    *given, masks = inputs
    sources, tree = jax.tree.flatten(given)

    def run(sources: Tensors) -> Tensors:
        x, states, weights = jax.tree.unflatten(tree, sources)
        return stack(x, states, weights, masks)

    return sources, run


def _cotangents(loss: Loss, results: Sequence[Any]) -> Tensors:
    """Returns the cotangents of the results that a loss reads, in the dtypes of the results."""
    cotangents = [cotangent for cotangent in loss.cotangents if cotangent is not None]
    return [cotangent.astype(result.dtype) for cotangent, result in zip(cotangents, results, strict=True)]

"""Compiles OpenVINO models for the CPU in a given precision and runs them."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from conformance import threads
from conformance.adapters.onnx.common import Array
from conformance.verdict import declared

PRECISIONS = {"float64": "f32", "float32": "f32", "float16": "f32", "bfloat16": "bf16"}
"""Precision hints for the CPU plug-in, by dtype. Without a hint it uses bfloat16 if the processor supports that. It has
no float64."""


@cache
def core() -> Any:
    """Returns the ``openvino.Core`` of this process. Creating one takes 3 ms, as it loads the CPU plug-in."""
    import openvino

    return openvino.Core()


def load(model: Any, dtype: str = "") -> Callable[[Sequence[Array]], list[Array]]:
    """Compiles a model. Returns a function from its inputs to copies of its outputs, both in the model's order.

    Args:
        model: OpenVINO model.
        dtype: dtype whose precision is requested; empty for the plug-in's default precision.
    """
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype]} if dtype else {}
    if count := threads.required():
        hints["INFERENCE_NUM_THREADS"] = count
    compiled = core().compile_model(model, "CPU", hints)
    shapes = [port.get_partial_shape() for port in compiled.outputs]

    def run(inputs: Sequence[Array]) -> list[Array]:
        outputs = [array.copy() for array in compiled(list(inputs)).to_tuple()]
        for number, (shape, array) in enumerate(zip(shapes, outputs, strict=True)):
            if shape.rank.is_static:
                sizes = [axis.get_length() if axis.is_static else None for axis in shape]
                declared.record_shape(f"result{number}", sizes, array.shape)
        return outputs

    return run


def save_and_read(model: Any) -> Any:
    """Saves a model to OpenVINO's IR without compressing its weights to float16, and reads it."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.xml")
        openvino.save_model(model, file, compress_to_fp16=False)
        # The weights of a model that is read from a path are mapped from its file.
        return core().read_model(file.read_bytes(), file.with_suffix(".bin").read_bytes())


def default_precision() -> str:
    """Returns the CPU plug-in's default precision: ``bf16`` if the processor supports it, else ``f32``."""
    return core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()  # type: ignore[no-any-return]


def describe() -> dict[str, str]:
    """Returns the version of OpenVINO, device, threads and precision."""
    import openvino

    return {
        "openvino": openvino.__version__,
        "device": core().get_property("CPU", "FULL_DEVICE_NAME"),
        "threads": str(core().get_property("CPU", "INFERENCE_NUM_THREADS") or "default"),
        "precision": f"INFERENCE_PRECISION_HINT bf16 for bfloat16, else f32; the default here is {default_precision()}",
    }

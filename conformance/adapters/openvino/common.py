"""Compiles OpenVINO models for the CPU in a given precision and runs them."""

from collections.abc import Sequence
from typing import Any

from conformance.adapters.onnx.common import Array

PRECISIONS = {"float64": "f32", "float32": "f32", "float16": "f32", "bfloat16": "bf16"}
"""Precision hints for the CPU plug-in, by dtype. Without a hint it uses bfloat16 if the processor supports that. It has
no float64."""


def run(model: Any, inputs: Sequence[Array], dtype: str = "") -> list[Array]:
    """Compiles and runs a model and returns copies of its outputs, in the model's order.

    Args:
        model: OpenVINO model.
        inputs: arrays in the model's order.
        dtype: dtype whose precision is requested; empty for the plug-in's default precision.
    """
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype]} if dtype else {}
    compiled = openvino.Core().compile_model(model, "CPU", hint)
    return [array.copy() for array in compiled(list(inputs)).to_tuple()]


def default_precision() -> str:
    """Returns the CPU plug-in's default precision: ``bf16`` if the processor supports it, else ``f32``."""
    import openvino

    return openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()  # type: ignore[no-any-return]


def describe() -> dict[str, str]:
    """Returns the version of OpenVINO, device, threads and precision."""
    import openvino

    core = openvino.Core()
    return {
        "openvino": openvino.__version__,
        "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "threads": str(core.get_property("CPU", "INFERENCE_NUM_THREADS") or "default"),
        "precision": f"INFERENCE_PRECISION_HINT bf16 for bfloat16, else f32; the default here is {default_precision()}",
    }

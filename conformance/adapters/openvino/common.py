"""OpenVINO models: compiled for the CPU in a case's precision, and run."""

from collections.abc import Sequence
from typing import Any

from conformance.adapters.onnx.common import Array

PRECISIONS = {"float64": "f32", "float32": "f32", "float16": "f32", "bfloat16": "bf16"}
"""What the CPU plug-in is told to infer in. Its own choice is bfloat16 where the processor has it; it has no double."""


def run(model: Any, inputs: Sequence[Array], dtype: str = "") -> list[Array]:
    """A model's outputs, fresh arrays in the model's order; without a dtype in the plug-in's own precision."""
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype]} if dtype else {}
    compiled = openvino.Core().compile_model(model, "CPU", hint)
    return [array.copy() for array in compiled(list(inputs)).to_tuple()]


def own_precision() -> str:
    """What the CPU plug-in infers in if it is told nothing: f32, or bf16 where the processor has it."""
    import openvino

    return openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()  # type: ignore[no-any-return]


def describe() -> dict[str, str]:
    """Versions, device, threads and precision."""
    import openvino

    core = openvino.Core()
    return {
        "openvino": openvino.__version__,
        "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "threads": str(core.get_property("CPU", "INFERENCE_NUM_THREADS") or "default"),
        "precision": f"INFERENCE_PRECISION_HINT bf16 for bfloat16, else f32; by itself it is {own_precision()} here",
    }

"""The adapters for GPUs report a missing GPU. Their code runs here on the CPU."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import registry
from conformance.cases.case import Case

torch = pytest.importorskip("torch")
from conformance.adapters.pytorch import cuda  # noqa: E402


class OnTheCpu(cuda.TorchLSTMCuda):
    """The adapter's code, without a GPU."""

    device = "cpu"


@pytest.mark.parametrize("variant", ["cuda", "cuda,native", "cuda,tf32"])
def test_without_a_gpu_every_case_is_unsupported(case: Callable[..., Case], variant: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    adapter = registry.load(f"torch.nn.LSTM[{variant}]")
    assert adapter.supports(case()) == "no CUDA device"
    assert adapter.describe()["device"] == "no CUDA device"


@pytest.mark.parametrize(
    "options", [{"lengths": (2, 3, 4, 1), "direction": "bidirectional"}, {"proj_size": 2}], ids=str
)
def test_the_code_of_the_adapter_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(OnTheCpu(), options) < 1e-12


def test_the_module_is_in_training_mode_because_cudnn_differentiates_in_no_other(case: Callable[..., Case]) -> None:
    adapter = cuda.TorchLSTMCuda()
    assert adapter._module(case(mode="eval")).training
    assert "dropout" not in adapter.features


def test_tf32_is_declared_for_float32_only(case: Callable[..., Case]) -> None:
    adapter = cuda.TorchLSTMCudaTf32()
    assert [adapter.profile(case(dtype=dtype)).name for dtype in ("float32", "float16")] == ["tf32", "float16"]
    assert not cuda.TorchLSTMCuda().profile(case(dtype="float32")).u_op > 2.0**-20


def test_a_run_includes_the_adapters_only_if_they_are_named(case: Callable[..., Case]) -> None:
    core = case(dtype="float32").model_copy(update={"tags": ("core",)})
    assert not cuda.TorchLSTMCuda().runs_by_default(core)
    assert cuda.TorchLSTMCuda().runs_by_default(core, ["torch.nn.LSTM[cuda]"])

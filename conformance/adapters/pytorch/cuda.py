"""``torch.nn.LSTM`` on an NVIDIA GPU, by cuDNN or by torch's own kernels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from conformance.adapters.adapter import ONLY_IF_NAMED, Solution
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import USES, TorchLSTM
from conformance.adapters.pytorch.module import run
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import PROFILES, Profile

NO_DEVICE = "no CUDA device"

TF32_TRUNCATED = replace(PROFILES["tf32"], name="tf32 truncated", u_op=2.0**-10)
"""TF32 whose operands are truncated, not rounded to nearest. Which of both a kernel does has to be observed."""


class TorchLSTMCuda(TorchLSTM):
    """Drives the module on a GPU with cuDNN, without TF32. ``device`` can be changed to test the adapter itself."""

    name = "torch.nn.LSTM[cuda]"
    own_process = True
    default_tag = ONLY_IF_NAMED
    path = "the module on the GPU, called eagerly"
    repeats_exactly = False
    device: ClassVar[str] = "cuda"
    cudnn: ClassVar[bool] = True
    tf32: ClassVar[bool] = False
    """Whether cuDNN may compute float32 cases in TF32, which is torch's default."""

    features = TorchLSTM.features - USES - {"dropout"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchLSTM.lacks,
        **dict.fromkeys(USES, "the adapter for GPUs does not drive this use"),
        "dropout": "the masks that the GPU draws cannot be known before the run",
    }

    def supports(self, case: Case) -> str | None:
        """Refuses every case without a GPU."""
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            return NO_DEVICE
        return super().supports(case)

    def solve(self, problem: Problem) -> Solution:
        """Runs forward and backward on the device, with the switches of cuDNN set."""
        import torch

        case = problem.case
        with torch.backends.cudnn.flags(enabled=self.cudnn, allow_tf32=self.tf32):
            if torch.backends.cudnn.allow_tf32 != self.tf32:
                raise RuntimeError("torch.backends.cudnn.flags did not set allow_tf32")
            module, function = self._load(problem)
            module.to(self.device)
            tensors = _torch.to_arguments(problem, case.dtype)
            lengths = {"lengths": tensors.pop("lengths")} if "lengths" in tensors else {}
            tensors = {name: tensor.to(self.device).requires_grad_() for name, tensor in tensors.items()}

            def outputs() -> dict[str, Any]:
                return {name: tensor.cpu() for name, tensor in run(function, case, tensors | lengths).items()}

            leaves = tensors | dict(module.named_parameters())
            return _torch.solve(outputs, problem.expected_shapes(), leaves, problem.cotangents)

    def _module(self, case: Case) -> Any:
        """Returns the module in training mode, in which alone cuDNN differentiates. Cases with dropout are refused."""
        return super()._module(case).train()

    def describe(self) -> dict[str, str]:
        """Returns versions, the GPU's name, and the switches."""
        import torch

        found = torch.cuda.is_available()
        return super().describe() | {
            "device": torch.cuda.get_device_name() if found else NO_DEVICE,
            "cuDNN": str(torch.backends.cudnn.version()) if found and self.cudnn else "off",
            "allow_tf32": str(self.tf32),
        }


class TorchLSTMCudaNative(TorchLSTMCuda):
    """Drives torch's own kernels on the GPU, with cuDNN disabled."""

    name = "torch.nn.LSTM[cuda,native]"
    cudnn = False


class TorchLSTMCudaTf32(TorchLSTMCuda):
    """Drives cuDNN with TF32 allowed, as torch does by default, and declares it for float32 cases."""

    name = "torch.nn.LSTM[cuda,tf32]"
    tf32 = True

    def profile(self, case: Case) -> Profile:
        """Returns TF32 with operands rounded to nearest."""
        return PROFILES["tf32"] if case.dtype == "float32" else super().profile(case)

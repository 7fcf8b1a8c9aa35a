"""``torch.nn.LSTM`` at lower precision than float32: under autocast, and with weights of 16 or 8 bits."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import USES, TorchLSTM
from conformance.cases.case import Case
from reference import PROFILES, Profile

FLOAT16_WEIGHTS = Profile("float16-weights", u=2.0**-24, u_acc=2.0**-24, u_op=2.0**-11, floor=2.0**-25)
"""Profile of float32 arithmetic with weights rounded to float16, whose subnormal numbers are 2^-24 apart."""


INT8 = replace(PROFILES["int8-dynamic"], u_data=1 / 254, weight_steps=127.5)
"""Profile of torch's dynamic quantization: data of 7 bits (``reduce_range``), and weights of 127.5 steps."""


class TorchLSTMAutocast(TorchLSTM):
    """Drives a float32 module in a 16-bit autocast region. Parameters and input are representable in 16 bits."""

    name = "torch.nn.LSTM[autocast]"
    path = "a float32 module called in torch.autocast('cpu'), which leaves packed sequences in float32"

    features = TorchLSTM.features - USES - {"float64", "float32"}
    lacks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("float64", "float32"), "torch.autocast('cpu') computes in bfloat16 or float16"
    )

    def supports(self, case: Case) -> str | None:
        """Also refuses dtypes that oneDNN lacks on this processor: autocast never falls back to torch's own kernels."""
        return super().supports(case) or _autocast_refusal(case.dtype, "gradients" in case.check)

    def _dtype(self, case: Case) -> str:
        del case
        return "float32"

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        return lambda inputs, state: _autocast(module, case.dtype, inputs, state)


class TorchDynamicLSTM(TorchLSTM):
    """Drives ``quantize_dynamic`` with float16 weights and float32 accumulation, for inference only."""

    name = "torch.ao.nn.quantized.dynamic.LSTM[float16]"
    config: ClassVar[str] = "float16_dynamic_qconfig"
    path = "torch.ao.quantization.quantize_dynamic with float16_dynamic_qconfig"

    features = TorchLSTM.features - USES - {
        "gradients", "projection", "dropout", "no bias", "unbatched", "float64", "float16", "bfloat16"
    }  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "gradients": "a dynamically quantized LSTM supports inference only",
        "dropout": "a dynamically quantized LSTM supports inference only",
        "projection": "a dynamically quantized LSTM has no projection",
        "no bias": "a dynamically quantized LSTM asserts that it has biases",
        "unbatched": "a dynamically quantized LSTM raises for inputs without a batch axis",
    } | dict.fromkeys(("float64", "float16", "bfloat16"), "a dynamically quantized LSTM has float32 inputs and outputs")

    def profile(self, case: Case) -> Profile:
        """Returns float32 with float16 weights. Inputs and states are not rounded."""
        del case
        return FLOAT16_WEIGHTS

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        import torch

        del case
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", r"torch.quantize_per_\w+.* are deprecated", UserWarning)
            config = getattr(torch.ao.quantization, self.config)
            holder = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(module), {torch.nn.LSTM: config})
        return holder[0]  # type: ignore[no-any-return]


class TorchDynamicInt8(TorchDynamicLSTM):
    """Drives ``quantize_dynamic`` with 8-bit weights, and data that each product quantizes."""

    name = "torch.ao.nn.quantized.dynamic.LSTM[int8]"
    config = "default_dynamic_qconfig"
    path = "torch.ao.quantization.quantize_dynamic with default_dynamic_qconfig"

    def profile(self, case: Case) -> Profile:
        """Returns ``int8-dynamic`` with torch's numbers of steps."""
        del case
        return INT8

    def describe(self) -> dict[str, str]:
        """Returns versions and the quantization engine."""
        import torch

        return super().describe() | {"quantization engine": torch.backends.quantized.engine}


class TorchDynamicInt8PerChannel(TorchDynamicInt8):
    """Drives ``quantize_dynamic`` with a quantization step for each row of the weights."""

    name = "torch.ao.nn.quantized.dynamic.LSTM[int8,per-channel]"
    default_tag = "core"
    config = "per_channel_dynamic_qconfig"
    path = "torch.ao.quantization.quantize_dynamic with per_channel_dynamic_qconfig"

    def profile(self, case: Case) -> Profile:
        """Returns the profile with a step for each row."""
        return replace(super().profile(case), per_channel=True)


def _autocast(module: Any, dtype: str, inputs: Any, state: Any) -> Any:
    import torch

    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        return module(inputs, state)


@cache
def _autocast_refusal(dtype: str, gradients: bool) -> str | None:
    """Returns torch's error if autocast does not run an LSTM on this machine, with or without gradients; else None."""
    import torch

    module = _torch.build("LSTM", {"input_size": 4, "hidden_size": 8}, "float32")
    try:
        with torch.set_grad_enabled(gradients):
            _autocast(module, dtype, torch.ones((2, 3, 4)), None)
    except RuntimeError as error:
        return f"torch.autocast on this processor, in {dtype}: {str(error).strip().split('. ')[0]}"
    return None

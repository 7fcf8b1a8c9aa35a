"""torch.nn.LSTM under torch.autocast("cpu", dtype=torch.float16): raises if gradients are recorded."""

import torch

lstm = torch.nn.LSTM(3, 4)
x = torch.randn(5, 2, 3)


def runs(dtype, with_gradients):
    """Returns whether the LSTM runs forward under autocast."""
    try:
        with torch.set_grad_enabled(with_gradients), torch.autocast("cpu", dtype=dtype):
            return lstm(x)[0].dtype == dtype
    except RuntimeError as error:
        print(error)
        return False


print("bfloat16 with gradients:", runs(torch.bfloat16, True))
print("float16 without gradients (needs AVX-512-FP16):", runs(torch.float16, False))
right = runs(torch.float16, True)
print("float16 with gradients:", right)
raise SystemExit(0 if right else 1)  # 1: it still happens

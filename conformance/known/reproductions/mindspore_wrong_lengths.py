"""mindspore.nn.LSTM: a length above the number of steps, and a negative one, are accepted."""

import mindspore

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(1, 1)
x = mindspore.ops.ones((3, 1, 1), mindspore.float32)
accepted = False
for length in (4, -1):
    try:
        output, _ = layer(x, seq_length=mindspore.Tensor([length], mindspore.int32))
        accepted = True
        print(f"length {length}: output", output.asnumpy().ravel())
    except (RuntimeError, ValueError) as error:
        print(f"length {length}:", str(error).splitlines()[0])
raise SystemExit(1 if accepted else 0)  # 1: it still happens

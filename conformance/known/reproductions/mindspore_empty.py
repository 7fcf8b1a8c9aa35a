"""mindspore.nn.LSTM on the CPU: a batch without rows or steps raises an error of oneDNN that names no argument."""

import mindspore

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(4, 5)
raised = False
for name, steps, rows in (("no steps", 0, 3), ("no rows", 6, 0)):
    x, state = mindspore.ops.zeros((steps, rows, 4)), mindspore.ops.zeros((1, rows, 5))
    try:
        output, _ = layer(x, (state, state))
        print(f"{name}: output", output.asnumpy().shape)
    except RuntimeError as error:
        raised = True
        print(f"{name}:", str(error).splitlines()[0])
raise SystemExit(1 if raised else 0)  # 1: it still happens

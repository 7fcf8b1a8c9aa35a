"""mindspore.nn.LSTM 2.7 and 2.8 on the CPU: without time steps, the final states are those of an earlier call."""

import mindspore

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(4, 5)
state = mindspore.ops.ones((1, 3, 5), mindspore.float32)
wrong = False
for call in (1, 2):
    _, (h_n, _) = layer(mindspore.ops.zeros((0, 3, 4), mindspore.float32), (state, state))
    wrong |= bool((h_n.asnumpy() != 1).any())
    print(f"h_n of call {call} (h_0 is 1):", h_n.asnumpy()[0, 0])
    layer(mindspore.ops.ones((6, 3, 4), mindspore.float32))[0].asnumpy()
raise SystemExit(1 if wrong else 0)  # 1: it still happens

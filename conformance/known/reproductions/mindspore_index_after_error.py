"""mindspore.nn.LSTM with seq_length: after an error in mindspore.grad, no tensor in the process can be indexed."""

import mindspore

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer, lengths = mindspore.nn.LSTM(4, 5), mindspore.Tensor([6, 3, 1], mindspore.int32)


def gradient(features):
    state = mindspore.ops.zeros((1, 3, 5))
    x = mindspore.ops.ones((6, 3, features))
    return mindspore.grad(lambda x: layer(x, (state, state), lengths)[0].sum())(x).shape


works = True
for name, call in {
    "4 features": lambda: gradient(4),
    "5 features": lambda: gradient(5),  # must raise
    "4 features again": lambda: gradient(4),
    "index": lambda: mindspore.ops.ones(2)[0],
}.items():
    try:
        print(f"{name}:", call())
    except (TypeError, ValueError) as error:
        works &= name == "5 features"
        print(f"{name}:", str(error).splitlines()[0][:90])
raise SystemExit(0 if works else 1)  # 1: it still happens

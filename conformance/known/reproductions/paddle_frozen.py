"""paddle.nn.LSTM: with a frozen parameter, the gradients of the others raise."""

import paddle

layer, found = paddle.nn.LSTM(4, 5), {}
for frozen in (None, "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
    for name, parameter in layer.named_parameters():
        parameter.stop_gradient = name.split(".")[-1] == frozen
    try:
        output, _ = layer(paddle.ones([3, 6, 4]))
        output.sum().backward()
        found[frozen] = True
    except ValueError as error:
        print(str(error).strip().splitlines()[-1])
        found[frozen] = False
    print(f"{frozen or 'nothing'} is frozen, the others have gradients: {found[frozen]}")
raise SystemExit(0 if all(found.values()) else 1)  # 1: it still happens

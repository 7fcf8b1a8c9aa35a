"""mlx.nn.LSTM: states of one row, a cell state of one unit and an input with four axes are accepted."""

import mlx.core as mx
import mlx.nn as nn

layer = nn.LSTM(4, 5)
right = {"x": mx.ones((3, 6, 4)), "hidden": mx.ones((3, 5)), "cell": mx.ones((3, 5))}
wrong = {
    "hidden of one row": right | {"hidden": mx.ones((1, 5))},
    "cell of one row": right | {"cell": mx.ones((1, 5))},
    "cell of one unit": right | {"cell": mx.ones((3, 1))},
    "x of shape (1, 3, 6, 4)": {"x": mx.ones((1, 3, 6, 4))},
}
for what, arguments in list(wrong.items()):
    try:
        mx.eval(layer(**arguments))
        print(f"{what} is refused: False")
    except ValueError as error:
        print(f"{what} is refused: True, {error}")
        del wrong[what]
raise SystemExit(1 if wrong else 0)  # 1: it still happens

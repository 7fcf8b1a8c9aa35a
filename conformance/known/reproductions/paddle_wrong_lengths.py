"""paddle.nn.LSTM: a negative length is accepted. With a length above T, the process dies or never returns."""

import os
import signal

refused = []
for lengths in ([-1, 6, 3], [7, 6, 3]):
    if os.fork() == 0:
        signal.alarm(20)  # Ends the process.
        import paddle

        layer = paddle.nn.LSTM(4, 5)
        layer.eval()
        with paddle.no_grad():
            try:
                layer(paddle.ones([3, 6, 4]), sequence_length=paddle.to_tensor(lengths))
                code = 0
            except ValueError as error:
                print(error)
                code = 1
        os._exit(code)
    status = os.wait()[1]
    refused.append(status == 256)
    print(f"lengths {lengths} of 6 steps are refused: {refused[-1]} (exit status {status})")
raise SystemExit(0 if all(refused) else 1)  # 1: it still happens

"""paddle2onnx: of several layers, the final states are those of the last layer only."""

import tempfile

import onnxruntime
import paddle
import paddle2onnx

lstm = paddle.nn.LSTM(1, 1, num_layers=2)
with tempfile.TemporaryDirectory() as folder:
    spec = paddle.static.InputSpec([1, 3, 1], "float32", "x")
    static = paddle.jit.to_static(lstm, input_spec=[spec], full_graph=True)
    paddle.jit.save(static, f"{folder}/lstm")
    model = f"{folder}/lstm.onnx"
    paddle2onnx.export(f"{folder}/lstm.json", f"{folder}/lstm.pdiparams", model)
    session = onnxruntime.InferenceSession(model)
x = paddle.ones([1, 3, 1])
h_n, got = lstm(x)[1][0].numpy(), session.run(None, {"x": x.numpy()})[1]
print("h_n of Paddle:", h_n.ravel(), "and of the ONNX model:", got.ravel())

equal = h_n.shape == got.shape
print("the ONNX model returns the states of both layers:", equal)
raise SystemExit(0 if equal else 1)  # 1: it still happens

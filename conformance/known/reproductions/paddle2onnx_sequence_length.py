"""paddle2onnx: sequence_length is ignored. Every row has T steps."""

import tempfile

import onnxruntime
import paddle
import paddle2onnx

lstm = paddle.nn.LSTM(1, 1)
spec = paddle.static.InputSpec
specs = [spec([1, 3, 1], "float32", "x"), None, spec([1], "int64", "lengths")]
with tempfile.TemporaryDirectory() as folder:
    static = paddle.jit.to_static(lstm, input_spec=specs, full_graph=True)
    paddle.jit.save(static, f"{folder}/lstm")
    model = f"{folder}/lstm.onnx"
    paddle2onnx.export(f"{folder}/lstm.json", f"{folder}/lstm.pdiparams", model)
    session = onnxruntime.InferenceSession(model)
x, lengths = paddle.ones([1, 3, 1]), paddle.to_tensor([1])
expected = lstm(x, None, lengths)[0].numpy().ravel()
given = {"x": x.numpy(), "lengths": lengths.numpy()}
got = session.run(None, {value.name: given[value.name] for value in session.get_inputs()})[0].ravel()
print("output of Paddle:", expected, "and of the ONNX model:", got)

ends = not got[1:].any()
print("the output of a row of one step is 0 from step 1:", ends)
raise SystemExit(0 if ends else 1)  # 1: it still happens

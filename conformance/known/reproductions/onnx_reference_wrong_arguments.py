"""onnx.reference: wrong states, lengths and dtypes are accepted."""

import numpy as np
import onnx
import onnx.reference

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,1] x, int32[2] lens, float[1,2,5] h0, float[1,2,5] c0)
    => (float[3,1,2,5] y, float[1,2,5] h, float[1,2,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, "", lens, h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 1), "r": (1, 20, 5)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
evaluator = onnx.reference.ReferenceEvaluator(model)
state = np.ones((1, 2, 5), "f4")
right = {"x": np.ones((3, 2, 1), "f4"), "lens": np.array([3, 1], "i4"), "h0": state, "c0": state}
wrong = {"a float64 input": {"x": right["x"].astype("f8")}, "c0 of one row": {"c0": state[:, :1]}}
wrong |= {"c0 of one unit": {"c0": state[..., :1]}, "a length of 4": {"lens": np.array([4, 1], "i4")}}
wrong |= {"a length of -1": {"lens": np.array([-1, 1], "i4")}}
for name, arguments in list(wrong.items()):
    try:
        evaluator.run(None, right | arguments)
        print(name, "is refused: False")
    except Exception as error:
        print(name, "is refused: True,", error)
        del wrong[name]
raise SystemExit(1 if wrong else 0)  # 1: it still happens

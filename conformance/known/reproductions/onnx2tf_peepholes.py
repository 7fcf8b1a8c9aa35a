"""onnx2tf: P is multiplied by the cell state as a matrix. With as many rows as units, rows depend on each other."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[2,2,1] x, float[1,2,2] h0, float[1,2,2] c0)
    => (float[2,1,2,2] y, float[1,2,2] h, float[1,2,2] c)
<float[1,8,1] w = {1, 1, 1, 1, 1, 1, 1, 1}, float[1,8,2] r = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
 float[1,16] b = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, float[1,6] p = {1, 1, 1, 1, 1, 1}>
{ y, h, c = LSTM <hidden_size=2> (x, w, r, b, "", h0, c0, p) }
"""
inputs = ["x", "h0", "c0"]
options = {"keep_shape_absolutely_input_names": inputs, "not_use_onnxsim": True, "disable_model_save": True}
model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
zeros, rows = np.zeros((1, 2, 2), "f4"), []
for other in (0, 1):
    given = {"x": np.array([[[1], [other]]] * 2, "f4"), "h0": zeros, "c0": zeros}
    rows.append(model([given[name] for name in model.input_names])[0].numpy()[:, 0, 0])

equal = np.array_equal(*rows)
print("row 0 does not depend on row 1:", equal)
raise SystemExit(0 if equal else 1)  # 1: it still happens

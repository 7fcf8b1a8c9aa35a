"""onnx2tf: sequence_lens is ignored. Every row has T steps."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, int32[1] lens, float[1,1,1] h0, float[1,1,1] c0)
    => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8},
 float[1,8] b = {0, 0, 0, 0, 0, 0, 0, 0}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, b, lens, h0, c0) }
"""

inputs = ["x", "lens", "h0", "c0"]
options = {"keep_shape_absolutely_input_names": inputs, "not_use_onnxsim": True, "disable_model_save": True}
model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
zero = np.zeros((1, 1, 1), "f4")
given = {"x": np.ones((3, 1, 1), "f4"), "lens": np.ones(1, "i4"), "h0": zero, "c0": zero}
y = model([given[name] for name in model.input_names])[0].numpy()

ends = not y[1:].any()
print("the output of a row of one step is 0 from step 1:", ends, y.ravel())
raise SystemExit(0 if ends else 1)  # 1: it still happens

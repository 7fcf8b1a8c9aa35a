"""onnx2tf: an LSTM's clip does not bound the argument of activation h."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[1,1,1] x, float[1,1,1] h0, float[1,1,1] c0)
    => (float[1,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {0, 0, 0, 0}, float[1,4,1] r = {0, 0, 0, 0}, float[1,8] b = {0, 0, 0, 0, 0, 0, 0, 0}>
{ y, h, c = LSTM <hidden_size=1, clip=0.25> (x, w, r, b, "", h0, c0) }
"""
inputs = ["x", "h0", "c0"]
options = {"keep_shape_absolutely_input_names": inputs, "not_use_onnxsim": True, "disable_model_save": True}
model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
given = {"x": np.ones((1, 1, 1), "f4"), "h0": np.ones((1, 1, 1), "f4"), "c0": np.full((1, 1, 1), 4, "f4")}
h = model([given[name] for name in model.input_names])[0].numpy().item()

expected = 0.5 * np.tanh(0.25)  # The gates are 1/2, so that c is 2.
clipped = bool(np.isclose(h, expected))
print(f"h is 0.5 tanh(clip): {clipped} ({expected:.6f}, got {h:.6f})")
raise SystemExit(0 if clipped else 1)  # 1: it still happens

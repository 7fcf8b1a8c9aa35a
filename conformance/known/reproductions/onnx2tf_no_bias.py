"""onnx2tf: an LSTM without B cannot be converted."""

import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, float[1,1,1] h0, float[1,1,1] c0)
    => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, "", "", h0, c0) }
"""

inputs = ["x", "h0", "c0"]
options = {"keep_shape_absolutely_input_names": inputs, "not_use_onnxsim": True, "disable_model_save": True}
try:
    onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
    converted = True
except KeyError as error:
    print("KeyError:", error)
    converted = False

print("an LSTM without B is converted:", converted)
raise SystemExit(0 if converted else 1)  # 1: it still happens

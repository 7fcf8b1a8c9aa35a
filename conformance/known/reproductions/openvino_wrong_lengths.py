"""OpenVINO: sequence_lens above the number of time steps, or negative ones, are accepted if shapes are static."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,1] x, int32[2] lens) => (float[3,1,2,1] y, float[1,2,1] h, float[1,2,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, "", lens) }
"""
model = ov.Core().read_model(onnx.parser.parse_model(MODEL).SerializeToString())
compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
accepted = []
for lengths in ([4, 3], [-1, 3]):
    try:
        _, h, _ = compiled([np.ones((3, 2, 1), "f4"), np.array(lengths, "i4")]).to_tuple()
        print("lengths", lengths, "of 3 steps are refused: False, h_n =", h.ravel())
        accepted.append(lengths)
    except RuntimeError as error:
        print("lengths", lengths, "of 3 steps are refused: True,", error)
raise SystemExit(1 if accepted else 0)  # 1: it still happens

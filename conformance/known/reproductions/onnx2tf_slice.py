"""onnx2tf: a Slice with a step of -1 does not reverse the axis."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
reverse (float[3,1,1] x) => (float[3,1,1] y)
<int64[1] start = {-1}, int64[1] end = {-4}, int64[1] axis = {0}, int64[1] step = {-1}>
{ y = Slice (x, start, end, axis, step) }
"""

options = {"keep_shape_absolutely_input_names": ["x"], "not_use_onnxsim": True, "disable_model_save": True}
model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
y = model(np.array([[[1]], [[2]], [[3]]], "f4")).numpy().ravel()

reversed_ = y.tolist() == [3, 2, 1]
print("the axis is reversed:", reversed_, y)
raise SystemExit(0 if reversed_ else 1)  # 1: it still happens

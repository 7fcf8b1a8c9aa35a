"""onnx2tf: a Transpose of two axes of the same size returns its input."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
transpose (float[2,2,1] x) => (float[2,2,1] y) { y = Transpose <perm=[1,0,2]> (x) }
"""

options = {"keep_shape_absolutely_input_names": ["x"], "not_use_onnxsim": True, "disable_model_save": True}
model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL), **options)
x = np.array([[[1], [2]], [[3], [4]]], "f4")
y = model(x).numpy()

transposed = np.array_equal(y, x.swapaxes(0, 1))
print("the axes are transposed:", transposed, y.ravel())
raise SystemExit(0 if transposed else 1)  # 1: it still happens

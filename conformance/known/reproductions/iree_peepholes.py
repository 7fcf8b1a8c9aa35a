"""IREE's ONNX importer: P (peepholes) is ignored."""

import numpy as np
import onnx
from iree import runtime
from iree.compiler import compile_str
from iree.compiler.extras.onnx_importer import ModelInfo, NodeImporter
from iree.compiler.ir import Context

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, float[1,3] p) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, , , , , p) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")

info = ModelInfo(onnx.parser.parse_model(MODEL))
with Context() as context:
    root = info.create_module(context).operation
    NodeImporter.define_function(info.main_graph, root).import_all()
    program = compile_str(str(root), input_type="onnx", target_backends=["llvm-cpu"])
model = runtime.load_vm_flatbuffer(program, driver="local-sync")
outputs = [model.lstm(X, np.full((1, 3), p, "f4"))[0].to_host() for p in (0, 1)]

changed = not np.array_equal(*outputs)
print("the peepholes change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

"""IREE's ONNX importer: sequence_lens is ignored."""

import numpy as np
import onnx
from iree import runtime
from iree.compiler import compile_str
from iree.compiler.extras.onnx_importer import ModelInfo, NodeImporter
from iree.compiler.ir import Context

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, int32[1] lens) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, , lens) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")

info = ModelInfo(onnx.parser.parse_model(MODEL))
with Context() as context:
    root = info.create_module(context).operation
    NodeImporter.define_function(info.main_graph, root).import_all()
    program = compile_str(str(root), input_type="onnx", target_backends=["llvm-cpu"])
model = runtime.load_vm_flatbuffer(program, driver="local-sync")
outputs = [model.lstm(X, np.array([steps], "i4"))[0].to_host() for steps in (3, 1)]

changed = not np.array_equal(*outputs)
print("sequence_lens changes the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

"""IREE's ONNX importer: the activation Elu is replaced by Relu."""

import numpy as np
import onnx
from iree import runtime
from iree.compiler import compile_str
from iree.compiler.extras.onnx_importer import ModelInfo, NodeImporter
from iree.compiler.ir import Context

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1, activations=["Sigmoid", "%s", "Tanh"]> (x, w, r) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")


def run(activation):
    info = ModelInfo(onnx.parser.parse_model(MODEL % activation))
    with Context() as context:
        root = info.create_module(context).operation
        NodeImporter.define_function(info.main_graph, root).import_all()
        program = compile_str(str(root), input_type="onnx", target_backends=["llvm-cpu"])
    return runtime.load_vm_flatbuffer(program, driver="local-sync").lstm(X)[0].to_host()


changed = not np.array_equal(run("Elu"), run("Relu"))
print("Elu and Relu give different outputs:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

"""onnx.reference: activations are ignored."""

import numpy as np
import onnx
import onnx.reference

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1%s> (x, w, r) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}


def run(options):
    model = onnx.parser.parse_model(MODEL % options)
    return onnx.reference.ReferenceEvaluator(model).run(None, FEEDS)


changed = not np.array_equal(run("")[0], run(', activations=["Sigmoid", "Relu", "Relu"]')[0])
print("other activations change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

"""tract: clip is ignored."""

import tempfile

import numpy as np
import onnx
import tract

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1%s> (x, w, r) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")


def run(options):
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(onnx.parser.parse_model(MODEL % options), f"{folder}/model.onnx")
        model = tract.onnx().load(f"{folder}/model.onnx")
    return model.into_model().into_runnable().run([X])[0].to_numpy()


changed = not np.array_equal(run(""), run(", clip=0.1"))
print("clip changes the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

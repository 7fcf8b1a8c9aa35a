"""MNN: with a symbolic number of steps and initial states, an LSTM takes the steps of one row for rows."""

import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[T,%d,4] x, float[1,%d,5] h0, float[1,%d,5] c0) => (float[T,1,N,5] y, float[1,N,5] h, float[1,N,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, "", "", h0, c0) }
"""
right = []
for rows in (1, 2):
    model = onnx.parser.parse_model(MODEL % (rows, rows, rows))
    for name, shape in {"w": (1, 20, 4), "r": (1, 20, 5)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/onnx")
        _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn".split())
        module = MNN.nn.load_module_from_file(f"{folder}/mnn", ["x", "h0", "c0"], ["y", "h", "c"])
    arrays = [np.ones(shape, "f4") for shape in ((3, rows, 4), (1, rows, 5), (1, rows, 5))]
    shapes = [tuple(each.shape) for each in module.forward([MNN.expr.const(a, a.shape, MNN.expr.NCHW) for a in arrays])]
    right.append(shapes == [(3, 1, rows, 5), (1, rows, 5), (1, rows, 5)])
    print(f"3 steps of {rows} rows: {shapes} is right: {right[-1]}")
raise SystemExit(0 if all(right) else 1)  # 1: it still happens

"""MNN: an LSTM without time steps or rows ends the process or returns results that cannot be read."""

import os
import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """<ir_version: 10, opset_import: ["" : 22]>
lstm (float[%d,%d,4] x) => (float[T,1,N,5] y, float[1,N,5] h, float[1,N,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r) }
"""
survives, shapes, folder = [], [], tempfile.mkdtemp()
for x in (np.zeros((0, 3, 4), "f4"), np.zeros((6, 0, 4), "f4")):
    model = onnx.parser.parse_model(MODEL % x.shape[:2])
    arrays = {"w": np.full((1, 20, 4), 0.5, "f4"), "r": np.full((1, 20, 5), 0.5, "f4")}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    if os.fork() == 0:
        onnx.save(model, f"{folder}/onnx")
        _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn".split())
        module = MNN.nn.load_module_from_file(f"{folder}/mnn", ["x"], ["y", "h", "c"])
        try:
            shapes = [np.array(y.read()).shape for y in module.forward([MNN.expr.const(x, x.shape, MNN.expr.NCHW)])]
        finally:
            os._exit(0 if len(shapes) == 3 else 1)
    survives.append(os.wait()[1] == 0)
    print(f"an input of shape {x.shape} has results:", survives[-1])
raise SystemExit(0 if all(survives) else 1)  # 1: it still happens

"""MNN: an LSTM without time steps or rows ends the process or returns results that cannot be read."""

import os
import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[%d,%d,4] x) => (float[T,1,N,5] y, float[1,N,5] h, float[1,N,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r) }
"""
survives = []
for steps, rows in ((0, 3), (6, 0)):
    model = onnx.parser.parse_model(MODEL % (steps, rows))
    for name, shape in {"w": (1, 20, 4), "r": (1, 20, 5)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
    if os.fork() == 0:
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(model, f"{folder}/onnx")
            _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn".split())
            module = MNN.nn.load_module_from_file(f"{folder}/mnn", ["x"], ["y", "h", "c"])
        results = module.forward([MNN.expr.const(np.zeros((steps, rows, 4), "f4"), [steps, rows, 4], MNN.expr.NCHW)])
        os._exit(0 if results and all(np.array(each.read()).shape == tuple(each.shape) for each in results) else 1)
    survives.append(os.wait()[1] == 0)
    print(f"{steps} steps of {rows} rows have results:", survives[-1])
raise SystemExit(0 if all(survives) else 1)  # 1: it still happens

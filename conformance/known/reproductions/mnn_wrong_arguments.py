"""MNN: an LSTM accepts a float64 input and states of one row. With --useOriginRNNImpl, it accepts all of these."""

import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,4] x, float[2,2,5] h0, float[2,2,5] c0) => (float[3,2,2,5] y, float[2,2,5] h, float[2,2,5] c)
{ y, h, c = LSTM <hidden_size=5, direction="bidirectional"> (x, w, r, "", "", h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (2, 20, 4), "r": (2, 20, 5)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
right, refused = {"x": np.ones((3, 2, 4), "f4")} | dict.fromkeys(("h0", "c0"), np.ones((2, 2, 5), "f4")), []
wrong = {"f8 x": np.ones((3, 2, 4)), "5 features x": np.ones((3, 2, 5), "f4"), "4 axes x": np.ones((1, 3, 2, 4), "f4")}
wrong |= {f"1 {n} c0": np.ones(s, "f4") for n, s in {"end": (1, 2, 5), "row": (2, 1, 5), "unit": (2, 2, 1)}.items()}
for option in ("", "--useOriginRNNImpl"):
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/onnx")
        _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn {option}".split())
        for what, array in wrong.items():
            module = MNN.nn.load_module_from_file(f"{folder}/mnn", list(right), ["y", "h", "c"])
            kinds, given = {4: MNN.expr.float, 8: MNN.expr.double}, right | {what.split()[-1]: array}
            given = [MNN.expr.const(a, a.shape, MNN.expr.NCHW, kinds[a.itemsize]) for a in given.values()]
            refused.append(not module.forward(given))
            print(option, what, "is refused:", refused[-1])
raise SystemExit(0 if all(refused) else 1)  # 1: it still happens

"""OpenVINO: an ONNX LSTM whose batch axis (or time axis) is dynamic ignores sequence_lens."""

import numpy as np
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(1)
weights = {"W": (1, 20, 4), "R": (1, 20, 5), "B": (1, 40)}
initializers = [numpy_helper.from_array(random.standard_normal(shape).astype("f4"), n) for n, shape in weights.items()]
node = helper.make_node("LSTM", ["X", "W", "R", "B", "lengths"], ["Y", "Y_h"], hidden_size=5)
x, lengths = random.standard_normal((6, 3, 4)).astype("f4"), np.array([4, 6, 1], "i4")


def run(batch):
    given = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [6, batch, 4])]
    given.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]))
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "Y_h")]
    graph = helper.make_graph([node], "lstm", given, results, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU", hint)([x, lengths])[1][0]


expected, got = run(3), run("rows")
print("expected (a batch of 3):       ", expected[2])
print("got (a batch of any size):     ", got[2])
same = np.allclose(expected, got, atol=1e-5)
print("the same:", same)
raise SystemExit(not same)  # 1: it still happens

"""OpenVINO: an ONNX LSTM with a clip and a dynamic batch axis broadcasts an initial state of one row."""

import numpy as np
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

weights = {"W": (1, 20, 4), "R": (1, 20, 5), "B": (1, 40)}
initializers = [numpy_helper.from_array(np.ones(shape, "f4"), name) for name, shape in weights.items()]
x, states = np.ones((6, 3, 4), "f4"), (np.zeros((1, 1, 5), "f4"), np.zeros((1, 3, 5), "f4"))


def accepts(**clip):
    inputs = ["X", "W", "R", "B", "", "h_0", "c_0"]
    node = helper.make_node("LSTM", inputs, ["", "Y_h"], hidden_size=5, **clip)
    shapes = {"X": [6, "rows", 4], "h_0": [1, "rows", 5], "c_0": [1, "rows", 5]}
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    results = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "lstm", given, results, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    try:
        ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU")([x, *states])
    except RuntimeError:
        return False
    return True


print("without a clip, h_0 of one row for a batch of 3 is refused:", not accepts())
print("with a clip, it is refused:", not (accepted := accepts(clip=1.0)))
raise SystemExit(accepted)  # 1: it still happens

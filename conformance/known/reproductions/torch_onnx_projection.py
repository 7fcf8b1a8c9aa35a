"""torch.onnx.export(dynamo=True) exports an LSTM with a projection as one without, which onnxruntime does not run."""

import numpy as np
import onnxruntime as ort
import torch

lstm = torch.nn.LSTM(3, 5, proj_size=2)
arguments = (torch.zeros(4, 1, 3), (torch.zeros(1, 1, 2), torch.zeros(1, 1, 5)))
program = torch.onnx.export(lstm, arguments, dynamo=True, verbose=False)
session = ort.InferenceSession(program.model_proto.SerializeToString())
shapes = {value.name: value.shape for value in session.get_inputs()}
try:
    session.run(None, {name: np.zeros(shape, "f4") for name, shape in shapes.items()})
    runs = True
except Exception as error:
    print(error)
    runs = False
print("the exported model runs:", runs)
raise SystemExit(0 if runs else 1)  # 1: it still happens

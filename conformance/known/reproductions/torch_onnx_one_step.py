"""torch.onnx.export(dynamo=True) of an LSTM at one step: the model with dynamic axes joins steps and rows."""

import onnxruntime as ort
import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 4)

    def forward(self, x):
        return self.lstm(x)[0]


dynamic = torch.export.Dim.DYNAMIC
shapes = {"x": {0: dynamic, 1: dynamic}}
program = torch.onnx.export(Model(), (torch.randn(1, 3, 3),), dynamo=True, verbose=False, dynamic_shapes=shapes)
session = ort.InferenceSession(program.model_proto.SerializeToString())
[given], [result] = session.get_inputs(), session.get_outputs()
print("declared:", given.shape, "→", result.shape)
[output] = session.run(None, {given.name: torch.randn(6, 5, 3).numpy()})
print("expected shape:", (6, 5, 4))
print("got shape:     ", output.shape)
raise SystemExit(output.shape != (6, 5, 4))  # 1: it still happens

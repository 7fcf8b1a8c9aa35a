"""torch.onnx.export(dynamo=True) of an LSTM at one step: the model with dynamic axes joins steps and rows."""

import onnxruntime as ort
import torch

dynamic = torch.export.Dim.DYNAMIC
program = torch.onnx.export(
    torch.nn.LSTM(3, 4),
    (torch.randn(1, 3, 3),),
    dynamo=True,
    verbose=False,
    dynamic_shapes={"input": {0: dynamic, 1: dynamic}},
)
session = ort.InferenceSession(program.model_proto.SerializeToString())
given, result = session.get_inputs()[0], session.get_outputs()[0]
print("declared:", given.shape, "to", result.shape)
output = session.run(None, {given.name: torch.randn(6, 5, 3).numpy()})[0]
print("expected:", (6, 5, 4))
print("got:     ", output.shape)
print("the shape is as expected:", output.shape == (6, 5, 4))
raise SystemExit(output.shape != (6, 5, 4))  # 1: it still happens

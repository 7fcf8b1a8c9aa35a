"""onnx2tf: activation_alpha and activation_beta are ignored. Activations have their default constants."""

import numpy as np
import onnx
import onnx2tf

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[1,1,1] x, float[1,1,1] h0, float[1,1,1] c0)
    => (float[1,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {1, 1, 1, 1}, float[1,4,1] r = {0, 0, 0, 0}, float[1,8] b = {0, 0, 0, 0, 0, 0, 0, 0}>
{ y, h, c = LSTM <hidden_size=1, activations=["Sigmoid","Affine","Tanh"],
                  activation_alpha=[%s], activation_beta=[%s]> (x, w, r, b, "", h0, c0) }
"""
inputs, one = ["x", "h0", "c0"], np.ones((1, 1, 1), "f4")
options = {"keep_shape_absolutely_input_names": inputs, "not_use_onnxsim": True, "disable_model_save": True}


def run(*constants):
    model = onnx2tf.convert(onnx_graph=onnx.parser.parse_model(MODEL % constants), **options)
    return model([one, one, one])[0].numpy().item()


changed = run("1.0", "0.0") != run("0.5", "0.25")
print("activation_alpha and activation_beta change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens

// onnxruntime-web: an LSTM's clip bounds the gates' arguments, but not the argument of activation h.
// ONNX: clip "is applied to the input of activations", and H_t = o_t (.) h(C_t).
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
// One LSTM node, one unit, clip 1: inputs X, W, R, h and c, output Y_h. Written by onnx.helper.
const model = Buffer.from(
  "CAc63QEKQgoBWAoBVwoBUgoACgAKAWgKAWMSABIBWSIETFNUTSoOCgRjbGlwFQAAgD+gAQEqEgoLaGlkZGVuX3NpemUYAaABAhIBZ1oXCgFY" +
    "EhIKEAgBEgwKAggBCgIIAQoCCAFaFwoBVxISChAIARIMCgIIAQoCCAQKAggBWhcKAVISEgoQCAESDAoCCAEKAggECgIIAVoXCgFoEhIK" +
    "EAgBEgwKAggBCgIIAQoCCAFaFwoBYxISChAIARIMCgIIAQoCCAEKAggBYhcKAVkSEgoQCAESDAoCCAEKAggBCgIIAUIECgAQDg==",
  "base64",
);
const tensor = (length, value) => new ort.Tensor("float32", new Float32Array(length).fill(value), [1, length, 1]);
const session = await ort.InferenceSession.create(model);
const feeds = { X: tensor(1, 0), W: tensor(4, 0), R: tensor(4, 0), h: tensor(1, 0), c: tensor(1, 5) };
const [got] = (await session.run(feeds)).Y.data; // All gates are 1/2, the candidate 0: c becomes 5/2.
const wanted = 0.5 * Math.tanh(1);

console.log("0.5 tanh(1):", wanted, " 0.5 tanh(2.5):", 0.5 * Math.tanh(2.5), " got:", got);
console.log("the argument of h is clipped:", Math.abs(got - wanted) < 1e-6);
process.exit(Math.abs(got - wanted) < 1e-6 ? 0 : 1); // 1: it still happens

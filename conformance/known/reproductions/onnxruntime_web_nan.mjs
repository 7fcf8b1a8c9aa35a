// onnxruntime-web: an LSTM with the input B returns a number for NaN.
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
// One LSTM node, one unit: inputs X, W, R and B, output Y. Written by onnx.helper.
const model = Buffer.from(
  "CAc6sAEKKwoBWAoBVwoBUgoBQhIBWSIETFNUTSoSCgtoaWRkZW5fc2l6ZRgBoAECOgASBGxzdG1aFwoBWBISChAIARIMCgIIAQoCCAEKAggB" +
    "WhcKAVcSEgoQCAESDAoCCAEKAggECgIIAVoXCgFSEhIKEAgBEgwKAggBCgIIBAoCCAFaEwoBQhIOCgwIARIICgIIAQoCCAhiGwoBWRIWChQI" +
    "ARIQCgIIAQoCCAEKAggBCgIIAUIECgAQDg==",
  "base64",
);
const tensor = (shape, value) => new ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)).fill(value), shape);
const session = await ort.InferenceSession.create(model);
const feeds = { X: tensor([1, 1, 1], NaN), W: tensor([1, 4, 1], 1), R: tensor([1, 4, 1], 0), B: tensor([1, 8], 0) };
const [got] = (await session.run(feeds)).Y.data;

console.log("output for NaN:", got);
console.log("NaN stays NaN:", Number.isNaN(got));
process.exit(Number.isNaN(got) ? 0 : 1); // 1: it still happens

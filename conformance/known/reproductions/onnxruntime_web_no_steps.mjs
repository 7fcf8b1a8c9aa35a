// onnxruntime-web: an LSTM without time steps returns the memory of an earlier call as its final states.
import * as ort from "onnxruntime-web";

// One LSTM node, one unit: inputs x (T, B, 1), h and c, outputs y, hn and cn. Written by onnx.helper.
const model = Buffer.from(
    "CAg6oQIKOgoBeAoBdwoBcgoACgAKAWgKAWMSAXkSAmhuEgJjbiIETFNUTSoSCgtoaWRkZW5fc2l6ZRgBoAECOgASAWcqHQgBCAQIARABQgF3ShAAAA" +
    "A/AAAAPwAAAD8AAAA/Kh0IAQgECAEQAUIBckoQAAAAPwAAAD8AAAA/AAAAP1oZCgF4EhQKEggBEg4KAxIBVAoDEgFCCgIIAVoYCgFoEhMKEQgBEg0K" +
    "AggBCgMSAUIKAggBWhgKAWMSEwoRCAESDQoCCAEKAxIBQgoCCAFiHQoBeRIYChYIARISCgMSAVQKAggBCgMSAUIKAggBYhkKAmhuEhMKEQgBEg0KAg" +
    "gBCgMSAUIKAggBYhkKAmNuEhMKEQgBEg0KAggBCgMSAUIKAggBQgQKABAO",
  "base64",
);
ort.env.wasm.numThreads = 1;
const tensor = (shape, value) => new ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)).fill(value), shape);
const session = await ort.InferenceSession.create(model);
const run = (steps, state) => {
  const [h, c] = [1, 2].map(() => tensor([1, 30, 1], state));
  return session.run({ x: tensor([steps, 30, 1], 1), h, c });
};
for (let call = 0; call < 4; call++) await run(9, 0.25);
const { hn, cn } = await run(0, 0.75);
const states = [...new Set([...hn.data, ...cn.data])];
const right = states.every((value) => value === 0 || value === 0.75);

console.log("expected states: 0.75, the initial state, or 0 in every element");
console.log("states:", states.slice(0, 4));
console.log("as expected:", right);
process.exit(right ? 0 : 1); // 1: it still happens

// onnxruntime-node: an LSTM without rows ends the process.
import { spawnSync } from "node:child_process";

// One LSTM node, one unit: inputs x (T, B, 1), h and c, outputs y, hn and cn. Written by onnx.helper.
const model =
    "CAg6oQIKOgoBeAoBdwoBcgoACgAKAWgKAWMSAXkSAmhuEgJjbiIETFNUTSoSCgtoaWRkZW5fc2l6ZRgBoAECOgASAWcqHQgBCAQIARABQgF3ShAAAA" +
    "A/AAAAPwAAAD8AAAA/Kh0IAQgECAEQAUIBckoQAAAAPwAAAD8AAAA/AAAAP1oZCgF4EhQKEggBEg4KAxIBVAoDEgFCCgIIAVoYCgFoEhMKEQgBEg0K" +
    "AggBCgMSAUIKAggBWhgKAWMSEwoRCAESDQoCCAEKAxIBQgoCCAFiHQoBeRIYChYIARISCgMSAVQKAggBCgMSAUIKAggBYhkKAmhuEhMKEQgBEg0KAg" +
    "gBCgMSAUIKAggBYhkKAmNuEhMKEQgBEg0KAggBCgMSAUIKAggBQgQKABAO";
const call = `
  import * as ort from "onnxruntime-node";
  const session = await ort.InferenceSession.create(Buffer.from("${model}", "base64"));
  const tensor = (shape) => new ort.Tensor("float32", new Float32Array(0), shape);
  const results = await session.run({ x: tensor([4, 0, 1]), h: tensor([1, 0, 1]), c: tensor([1, 0, 1]) });
  console.log("output:", results.y.dims);
  process.exit(0);
`;
const { status, signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", call]);

console.log(String(stdout), "ended with", signal ?? status);
console.log("a batch without rows has an empty output:", status === 0);
process.exit(status === 0 ? 0 : 1); // 1: it still happens

/** Harness of `onnxruntime-node`, ONNX Runtime's native library for Node.js. Forward only. */
import { inFile } from "./files.mjs";
import { runtime } from "./onnx.mjs";
import { serve } from "./worker.mjs";

async function load() {
  const ort = await import("onnxruntime-node");
  return [ort, { device: "cpu", threads: "onnxruntime's default: one per core" }];
}

await serve(runtime("onnxruntime-node", load, inFile));

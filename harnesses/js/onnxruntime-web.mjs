/** Harness of `onnxruntime-web`, ONNX Runtime compiled to WebAssembly for browsers, here in Node.js. Forward only. */
import { runtime } from "./onnx.mjs";
import { serve } from "./worker.mjs";

async function load() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  return [ort, { device: "wasm", threads: "1" }];
}

await serve(runtime("onnxruntime-web", load));

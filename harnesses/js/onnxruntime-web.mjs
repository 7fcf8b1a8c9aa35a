/** Harness of `onnxruntime-web`, ONNX Runtime compiled to WebAssembly for browsers, here in Node.js. Forward only. */
import { runtime } from "./onnx.mjs";
import { serve } from "./worker.mjs";

async function load() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  return [ort, { device: "wasm", threads: "1" }];
}

const web = runtime("onnxruntime-web", load);

await serve({
  ...web,
  // onnxruntime-node-no-rows: there, the process ends. A module that has aborted cannot be used again.
  supports: (c) => (c.batch === 0 ? "without rows, ONNX Runtime aborts its WebAssembly module" : web.supports(c)),
});

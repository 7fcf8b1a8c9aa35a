/** ONNX Runtime compiled to WebAssembly, in Node.js and in a browser. */
import { runtime } from "./onnx.mjs";

async function load() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  return [ort, { device: "wasm", threads: "1" }];
}

/** Returns an implementation for `serve`, see `runtime`. */
export function web(name, stored) {
  const implementation = runtime(name, load, stored);
  return {
    ...implementation,
    needs: ["onnxruntime-web"],
    // onnxruntime-node-no-rows: there, the process ends. A module that has aborted cannot be used again.
    supports: (c) =>
      c.batch === 0 ? "without rows, ONNX Runtime aborts its WebAssembly module" : implementation.supports(c),
  };
}

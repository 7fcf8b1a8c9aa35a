/** Harness of `onnxruntime-web`, ONNX Runtime compiled to WebAssembly for browsers, here in Node.js. Forward only. */
import { inFile } from "./files.mjs";
import { web } from "./onnx-web.mjs";
import { serve } from "./worker.mjs";

await serve(web("onnxruntime-web", inFile));

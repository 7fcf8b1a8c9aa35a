/**
 * Harness of `tf.layers.lstm` of TensorFlow.js. `node tfjs.mjs` runs its CPU backend, which is plain JavaScript;
 * `node tfjs.mjs wasm` runs its WebAssembly backend. `node tfjs.mjs stateful` runs layers with `stateful: true` on the
 * CPU backend, forward only.
 */
import { tfjs } from "./tfjs-layers.mjs";
import { serve } from "./worker.mjs";

await serve(tfjs(process.argv[2] ?? "cpu"));

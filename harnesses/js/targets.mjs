/** Implementations that browser.mjs runs, by its argument. Node.js asks them what they support, the page runs them. */
import { web } from "./onnx-web.mjs";
import { tfjs } from "./tfjs-layers.mjs";

async function atUrl(bytesOfModel, use) {
  const url = URL.createObjectURL(new Blob([bytesOfModel]));
  try {
    return await use(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export const TARGETS = {
  webgl: () => tfjs("webgl"),
  wasm: () => web("onnxruntime-web[browser]", atUrl),
};

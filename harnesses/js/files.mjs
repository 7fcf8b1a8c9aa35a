/** Models in temporary files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Writes a model to a temporary file, and returns the result of an async function of its path. */
export async function inFile(bytesOfModel, use) {
  const folder = mkdtempSync(join(tmpdir(), "conformance-"));
  try {
    const path = join(folder, "model.onnx");
    writeFileSync(path, bytesOfModel);
    return await use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

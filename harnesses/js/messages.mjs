/** Messages between browser.mjs and its page: a line of JSON, then tensors in the safetensors format. */
import { dumps, joinedBytes, loads, utf8 } from "./tensors.mjs";

export const pack = (message, tensors = {}) => joinedBytes([utf8(`${JSON.stringify(message)}\n`), dumps(tensors)]);

/** Returns a message and its tensors. */
export function unpack(block) {
  const end = block.indexOf("\n".charCodeAt(0)) + 1;
  return [JSON.parse(new TextDecoder().decode(block.subarray(0, end))), loads(block.subarray(end))];
}

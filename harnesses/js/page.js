/** Script of the page of browser.mjs: fetches calls, makes them, and posts their results with the next fetch. */
import { pack, unpack } from "./messages.mjs";
import { TARGETS } from "./targets.mjs";

const implementation = TARGETS[location.hash.slice(1)]();

async function answerTo([{ method, options }, tensors]) {
  try {
    const result = await implementation[method](...(options ? [options, tensors] : []));
    return options ? pack({}, result) : pack({ ...result, browser: navigator.userAgent });
  } catch (thrown) {
    const { message, stack = "" } = thrown instanceof Error ? thrown : new Error(String(thrown));
    return pack({ error: { message, stack } });
  }
}

for (let answer = null; ;) {
  const response = await fetch("/", { method: "POST", body: answer });
  answer = await answerTo(unpack(new Uint8Array(await response.arrayBuffer())));
}

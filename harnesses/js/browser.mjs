/**
 * Harness of implementations in a page of headless Chromium: `node browser.mjs webgl` runs `tf.layers.lstm` on WebGL,
 * which SwiftShader computes on the processor; `node browser.mjs wasm` runs `onnxruntime-web`.
 *
 * A local HTTP server has the page and the packages. The page posts the result of a call and receives the next one.
 */
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { pack, unpack } from "./messages.mjs";
import { TARGETS } from "./targets.mjs";
import { Missing, serve } from "./worker.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const MODULES = {
  "@tensorflow/tfjs": "/node_modules/@tensorflow/tfjs/dist/tf.fesm.min.js",
  "onnxruntime-web": "/node_modules/onnxruntime-web/dist/ort.bundle.min.mjs",
};
const PAGE = `<!doctype html>
<script type="importmap">${JSON.stringify({ imports: MODULES })}</script>
<script type="module" src="/page.js"></script>`;
const CHROMIUM = process.env.CHROMIUM ?? "chromium";
const OPTIONS = [
  ..."--headless=new --no-sandbox --no-first-run --disable-background-networking --disable-component-update".split(" "),
  ..."--use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader".split(" "),
];

/** Emits `post` for each post of the page, with its body and the response that is due. */
const page = new EventEmitter();
let post = once(page, "post");
let origin;

const server = createServer(async (request, response) => {
  if (request.method === "POST") return page.emit("post", Buffer.concat(await request.toArray()), response);
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") return response.setHeader("Content-Type", "text/html").end(PAGE);
  const file = createReadStream(join(FOLDER, pathname));
  response.setHeader("Content-Type", TYPES[extname(pathname)] ?? "text/plain");
  file.on("error", () => response.writeHead(404).end());
  return file.pipe(response);
});

/** Starts the server and Chromium. Returns a function that ends Chromium. */
async function open(target) {
  await once(server.listen(0, "127.0.0.1"), "listening");
  origin = `http://127.0.0.1:${server.address().port}`;
  const profile = mkdtempSync(join(tmpdir(), "conformance-chromium-"));
  const options = [...OPTIONS, `--user-data-dir=${profile}`, `${origin}/#${target}`];
  const chromium = spawn(CHROMIUM, options, { stdio: ["ignore", "ignore", "inherit"] });
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  await once(chromium, "spawn").catch(({ message }) => {
    remove();
    throw new Missing(`cannot start Chromium: ${message}. Install it, or set CHROMIUM to its path.`);
  });
  chromium.on("exit", (code, signal) => {
    console.error(`Chromium exited with ${code ?? signal}`);
    process.exit(1);
  });
  return async () => {
    chromium.removeAllListeners("exit").kill();
    await once(chromium, "exit");
    remove();
  };
}

/** Calls a method of the implementation in the page. Returns the answer's message and its tensors. */
async function call(method, options, tensors) {
  const [, response] = await post;
  post = once(page, "post");
  response.end(pack({ method, options }, tensors));
  const [message, results] = unpack((await post)[0]);
  if (!message.error) return [message, results];
  // Paths as in Node.js, from which `serve` finds out whether the harness raised the error.
  const stack = message.error.stack.replaceAll(`${origin}/`, FOLDER);
  throw Object.assign(new Error(message.error.message), { stack });
}

const [target] = process.argv.slice(2);
if (!Object.hasOwn(TARGETS, target)) {
  console.error(`usage: node browser.mjs ${Object.keys(TARGETS).join("|")}`);
  process.exit(2);
}
const implementation = TARGETS[target]();

let close;
const remote = (method) => async (options, tensors) => (await call(method, options, tensors))[1];

await serve({
  ...implementation,
  async load() {
    close = await open(target);
    return (await call("load"))[0];
  },
  ...(implementation.masks && { masks: remote("masks") }),
  solve: remote("solve"),
  close: () => close?.(),
});

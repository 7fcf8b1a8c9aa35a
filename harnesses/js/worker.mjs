/** Serves an implementation over the worker protocol (docs/worker-protocol.md). */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { dumps, loads } from "./tensors.mjs";

const CHUNK = 2 ** 16;

/** Says what `load` needs besides the packages, and how to install it. */
export class Missing extends Error {}

/**
 * Answers requests until `stop` or the end of standard input.
 *
 * An implementation is an object with these members:
 * - `name`: name of the implementation
 * - `needs`: npm packages that it consists of
 * - `features`: list of supported features
 * - `load()`: imports the packages and returns a description of what runs, an object of strings
 * - `solve(case, tensors)`: returns tensors by name, at least those that the request wants
 * - `supports(case)`, optional: returns the reason why a case is unsupported, or null
 * - `dialect(case)`, optional: returns the conventions that differ from the defaults
 * - `masks(case, tensors)`, optional: returns the dropout masks that `solve` will draw, by name
 * - `close()`, optional: ends the processes that `load` started
 */
export async function serve(implementation) {
  const output = reserveOutput();
  for (let line; (line = readLine()) !== null;) {
    const request = JSON.parse(line);
    if (request.cmd === "stop") break;
    const block = read(request.n ?? 0);
    const before = process.cpuUsage();
    let [answer, tensors] = [{}, Buffer.alloc(0)];
    try {
      [answer, tensors = tensors] = await answerTo(implementation, request, block);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      const traceback = error.stack ?? "";
      const type = error.constructor.name;
      answer = { error: { type, message: error.message, traceback, by_adapter: raisedHere(traceback) } };
    }
    const { user, system } = process.cpuUsage(before);
    write(output, Buffer.from(`${JSON.stringify({ ...answer, seconds: (user + system) / 1e6 })}\n`));
    write(output, tensors);
  }
  await implementation.close?.();
  process.exit(0); // The framework may have running threads.
}

async function answerTo(implementation, { cmd, case: options, wants }, block) {
  if (cmd === "start") return [await started(implementation)];
  if (cmd === "supports") {
    const dialect = { padding: "zero", zero_length: "initial", ...implementation.dialect?.(options) };
    return [{ reason: implementation.supports?.(options) ?? null, dialect }];
  }
  if (cmd === "masks") {
    const masks = dumps(await implementation.masks(options, loads(block)));
    return [{ ok: true, n: masks.length }, masks];
  }
  const solution = await implementation.solve(options, loads(block));
  const shaped = Object.entries(wants).map(([name, shape]) => [name, { ...solution[name], shape }]);
  const tensors = dumps(Object.fromEntries(shaped));
  return [{ ok: true, n: tensors.length }, tensors];
}

async function started({ name, needs, features, load, masks }) {
  const answer = { ok: true, version: 1, name, features, draws_dropout: Boolean(masks) };
  try {
    const packages = Object.fromEntries(needs.map((each) => [each, version(each)]));
    return { ...answer, packages, describe: { node: process.version, ...packages, ...(await load()) } };
  } catch (error) {
    if (error instanceof Missing) return { ...answer, missing: error.message };
    if (error.code !== "ENOENT") throw error;
    const install = `npm ci --ignore-scripts --prefix ${fileURLToPath(new URL(".", import.meta.url))}`;
    return { ...answer, missing: `${name} needs ${needs.join(" and ")} from npm; install with: ${install}` };
  }
}

/** Returns whether the harness raised an error, instead of a package in its folder node_modules. */
export function raisedHere(traceback) {
  const origin = traceback.match(/^ +at .*?(?:file:\/\/|\()?(\/.*):\d+:\d+\)?$/m)?.[1] ?? "";
  const folder = fileURLToPath(new URL(".", import.meta.url));
  return origin.startsWith(folder) && !origin.includes("/node_modules/");
}

/** Returns the version of a package in the folder node_modules beside this file. */
const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;

/** Reserves standard output for answers: redirects all other output to standard error, and returns a new descriptor. */
function reserveOutput() {
  const output = openSync("/dev/fd/1", "w");
  closeSync(1);
  if (openSync("/dev/fd/2", "a") !== 1) throw new Error("cannot redirect standard output to standard error");
  return output;
}

let buffered = Buffer.alloc(0);

function read(count) {
  while (buffered.length < count)
    if (!fill(count - buffered.length)) throw new Error("standard input ended within a request");
  const taken = buffered.subarray(0, count);
  buffered = buffered.subarray(count);
  return taken;
}

function readLine() {
  while (!buffered.includes("\n")) if (!fill(CHUNK)) return null;
  return read(buffered.indexOf("\n") + 1).toString();
}

function fill(size) {
  const chunk = Buffer.alloc(size);
  const count = readSync(0, chunk);
  buffered = Buffer.concat([buffered, chunk.subarray(0, count)]);
  return count > 0;
}

function write(file, data) {
  for (let done = 0; done < data.length;) done += writeSync(file, data, done);
}

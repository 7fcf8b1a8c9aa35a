/** The worker protocol (docs/worker-protocol.md), for any implementation. */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { dumps, loads } from "./tensors.mjs";

const CHUNK = 2 ** 16;

/**
 * Answers requests until there are no more.
 *
 * An implementation has: `name`; `needs`, the npm packages that it consists of; `features`, a list; `load()`, which
 * imports the packages and describes what is run, an object of strings; `solve(case, tensors)`, which returns tensors by
 * name, at least those that are wanted; and, if need be, `supports(case)`, a reason or null, `dialect(case)`, and
 * `masks(case, tensors)`, the dropout masks that `solve` will draw, by name.
 */
export async function serve(implementation) {
  const output = redirected();
  for (let line; (line = readLine()) !== null;) {
    const request = JSON.parse(line);
    if (request.cmd === "stop") break;
    const block = read(request.n ?? 0);
    const before = process.cpuUsage();
    let [answer, tensors] = [{}, Buffer.alloc(0)];
    try {
      [answer, tensors = tensors] = await answered(implementation, request, block);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      answer = { error: { type: error.constructor.name, message: error.message, traceback: error.stack ?? "" } };
    }
    const { user, system } = process.cpuUsage(before);
    write(output, Buffer.from(`${JSON.stringify({ ...answer, seconds: (user + system) / 1e6 })}\n`));
    write(output, tensors);
  }
  process.exit(0); // The framework may have threads that go on.
}

async function answered(implementation, { cmd, case: options, wants }, block) {
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
    if (error.code !== "ENOENT") throw error;
    const install = `npm ci --ignore-scripts --prefix ${fileURLToPath(new URL(".", import.meta.url))}`;
    return { ...answer, missing: `${name} needs ${needs.join(" and ")}; install with: ${install}` };
  }
}

/** The version of a package that lies beside this file. */
const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;

/** Standard output for answers alone: what anything else prints there goes to standard error from here on. */
function redirected() {
  const output = openSync("/dev/fd/1", "w");
  closeSync(1);
  if (openSync("/dev/fd/2", "a") !== 1) throw new Error("standard output cannot be redirected");
  return output;
}

let held = Buffer.alloc(0);

function read(count) {
  while (held.length < count) if (!more(count - held.length)) throw new Error("a request ended early");
  const taken = held.subarray(0, count);
  held = held.subarray(count);
  return taken;
}

function readLine() {
  while (!held.includes("\n")) if (!more(CHUNK)) return null;
  return read(held.indexOf("\n") + 1).toString();
}

function more(size) {
  const chunk = Buffer.alloc(size);
  const count = readSync(0, chunk);
  held = Buffer.concat([held, chunk.subarray(0, count)]);
  return count > 0;
}

function write(file, data) {
  for (let done = 0; done < data.length;) done += writeSync(file, data, done);
}

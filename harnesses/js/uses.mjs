/**
 * Uses of an object that harnesses share: pieces of a sequence, rows, earlier calls and mistakes.
 *
 * The functions slice and join arrays, as users do. They compute nothing that the implementation should compute.
 */
import { joined, taken } from "./tensors.mjs";

/** Features of uses that a harness drives with the functions of this module. */
// prettier-ignore
export const FEATURES = [
  "chunks", "repeated call", "after other lengths", "after other batches", "after an error", "saved", "rows alone",
  "rows permuted", "empty sequence", "empty batch", "wrong input", "wrong state",
];

/** Numbers of steps and rows by which a longer or a larger earlier call exceeds the case. */
const MORE_STEPS = 3;
const MORE_ROWS = 2;

/** Returns whether calls of one object differ in their number of steps. */
export const isTimeDynamic = (c) =>
  c.built_seq_len || c.chunks.length || c.earlier_calls.some((word) => ["longer", "shorter"].includes(word));

/** Returns whether calls of one object differ in their number of rows. */
export const isBatchDynamic = (c) =>
  c.built_batch || c.batching === "alone" || c.earlier_calls.some((word) => word.endsWith("-rows"));

/** Returns a problem's tensors with the mistake of the case in place of the correct tensor. */
export const mistaken = (tensors) =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) =>
      name.startsWith("wrong.") ? [] : [[name, tensors[`wrong.${name}`] ?? tensor]],
    ),
  );

/**
 * Yields the arguments of each call that a case requires, for pieces of the sequence or of the batch. Takes the results
 * of each call, and returns those of all calls, joined.
 *
 * Arguments and results are objects. `output` answers `input` and, if there is one, `mask`; every other result is a final
 * state, whose name is that of the initial state that continues it. `called` and `calledAsync` make the calls.
 *
 * @param c the case
 * @param given arguments for the whole sequence and batch
 * @param arrays functions of the framework: `cut(array, axis, start, stop)` and `join(arrays, axis)`
 * @param rowAxis function from a name to the axis of its rows
 * @param timeAxis axis of the steps of input and output
 */
export function* calls(c, given, arrays, rowAxis, timeAxis) {
  const row = (found, k) => mapped(found, (name) => arrays.cut(found[name], rowAxis(name), k, k + 1));
  const all = (parts) => mapped(parts[0], (name) => arrays.join(valuesOf(parts, name), rowAxis(name)));

  function* pieces({ input, mask, ...rest }) {
    if (!c.chunks.length) return yield { input, ...(mask && { mask }), ...rest };
    const outputs = [];
    let state = rest;
    let end = 0;
    for (const steps of c.chunks) {
      const piece = (array) => arrays.cut(array, timeAxis, end, end + steps);
      const { output, ...finals } = yield { input: piece(input), ...(mask && { mask: piece(mask) }), ...state };
      outputs.push(output);
      state = finals;
      end += steps;
    }
    return { output: arrays.join(outputs, timeAxis), ...state };
  }

  if (c.batching === "together") return yield* pieces(given);
  const order = Array.from({ length: c.batch }, (_, k) => (c.batching === "alone" ? k : (k + 1) % c.batch));
  const alone = order.map((k) => row(given, k));
  const results = [];
  for (const batch of c.batching === "alone" ? alone : [all(alone)]) results.push(yield* pieces(batch));
  return all(order.map((_, k) => row(all(results), order.indexOf(k))));
}

/** Makes the calls that `calls` yields. Returns the joined results. */
export function called(yielded, call) {
  let step = yielded.next();
  while (!step.done) step = yielded.next(call(step.value));
  return step.value;
}

/** Makes the calls that `calls` yields, one after the other, by a function that returns a promise. */
export async function calledAsync(yielded, call) {
  let step = yielded.next();
  while (!step.done) step = yielded.next(await call(step.value));
  return step.value;
}

const valuesOf = (objects, name) => objects.map((each) => each[name]);
const mapped = (object, value) => Object.fromEntries(Object.keys(object).map((name) => [name, value(name)]));

/**
 * Yields the earlier calls of a case, each as its word, a case and tensors.
 *
 * All but `same` have other inputs and states. The input of `error` has one feature too many, so that the call must
 * raise. The parameters of `other-weights` are to be replaced, in place, by those of the case.
 */
export function* earlierCalls(c, tensors) {
  const sizes = {
    longer: [c.seq_len + MORE_STEPS, c.batch],
    shorter: [Math.max(1, Math.floor(c.seq_len / 2)), c.batch],
    "more-rows": [c.seq_len, c.batch + MORE_ROWS],
    "fewer-rows": [c.seq_len, Math.max(1, Math.floor(c.batch / 2))],
  };
  for (const word of c.earlier_calls) {
    const [one, own] = word === "same" ? [once(c), tensors] : resized(c, tensors, ...(sizes[word] ?? [c.seq_len, c.batch]));
    if (word === "other-mode") one.mode = c.mode === "train" ? "eval" : "train";
    if (word === "error") own.input = taken(own.input, own.input.shape.length - 1, [...cycle(c.input_size, c.input_size), 0]);
    if (word === "other-weights")
      for (const name of Object.keys(own)) if (/^(weight|bias|peephole)/.test(name)) own[name] = negated(own[name]);
    yield [word, one, own];
  }
}

/** Returns the case of one ordinary call. */
const once = (c) => ({ ...c, earlier_calls: [], chunks: [], batching: "together", refuses: null });

/** Returns a case and its tensors with other numbers of steps and rows, which repeat the original ones, negated. */
function resized(c, tensors, steps, rows) {
  const [time, row] = c.batch_first ? [1, 0] : [0, 1];
  const own = { ...tensors };
  for (const name of Object.keys(own)) if (name.startsWith("cotangent.")) delete own[name];
  own.input = negated(taken(taken(own.input, time, cycle(c.seq_len, steps)), row, cycle(c.batch, rows)));
  for (const name of Object.keys(own))
    if (/^[hc]_0/.test(name)) own[name] = negated(taken(own[name], 1, cycle(c.batch, rows)));
  if (own.mask) own.mask = taken(taken(own.mask, 0, cycle(c.seq_len, steps)), 1, cycle(c.batch, rows));
  if (own.lengths) {
    const repeated = taken(own.lengths, 0, cycle(c.batch, rows));
    own.lengths = { ...repeated, data: repeated.data.map((length) => (length < 1n ? 1n : length > steps ? BigInt(steps) : length)) };
  }
  return [{ ...once(c), seq_len: steps, batch: rows }, own];
}

/** Returns `wanted` indices below `size`, in a cycle. An empty axis has none to repeat. */
const cycle = (size, wanted) => Array.from({ length: wanted }, (_, k) => k % size);

/** Returns the negative of a tensor of floats. */
const negated = ({ dtype, shape, data }) => ({
  dtype,
  shape,
  data: data.map(dtype === "F16" ? (bits) => bits ^ 0x8000 : (value) => -value),
});

/** Functions of tensors for `calls`. */
export const TENSORS = {
  cut: (tensor, axis, start, stop) => taken(tensor, axis, Array.from({ length: stop - start }, (_, k) => start + k)),
  join: joined,
};

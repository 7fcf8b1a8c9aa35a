/**
 * `tf.layers.lstm` of TensorFlow.js, with gradients, in Node.js and in a browser.
 *
 * One layer feeds the next. In a bidirectional stack each layer is wrapped in `tf.layers.bidirectional`.
 */
import { ends, hiddenSizes, state, states } from "./cases.mjs";
import { concatenated, unsqueezed, rows, swapped } from "./tensors.mjs";
import { FEATURES as USES, called, calls, earlierCalls, mistaken } from "./uses.mjs";

// prettier-ignore
const ALL_FEATURES = [
  "layers", "sizes per layer", "bidirectional", "reverse", "lengths", "no bias", "batch first", "state omitted",
  "activations", "left mask", "holed mask", "input dropout", "recurrent dropout", "gradients", "float32",
  ...USES, "partial loss", "frozen", "after the other mode", "after no-grad", "after other weights", "wrong weight",
];

/**
 * What a stateful layer lacks: it is built for a batch size and carries its state from one call to the next, in tensors
 * that gradients do not pass through. A sequence split into several calls cannot be read backwards.
 */
// prettier-ignore
const NOT_STATEFUL = [
  "bidirectional", "reverse", "input dropout", "recurrent dropout", "gradients", "partial loss", "frozen",
  "after no-grad", "after other batches", "rows alone", "empty batch", "empty sequence", "wrong input", "wrong state",
  "wrong weight",
];

/** Names of activations in TensorFlow.js. */
// prettier-ignore
const ACTIVATIONS = {
  sigmoid: "sigmoid", tanh: "tanh", relu: "relu", elu: "elu", hard_sigmoid: "hardSigmoid", softsign: "softsign",
};

let tf;
let isStateful = false;

/**
 * Returns an implementation for `serve`. A process or page has only one.
 *
 * @param variant `cpu`, `wasm` or `webgl` for a backend, or `stateful` for layers with `stateful: true` on `cpu`
 */
export function tfjs(variant) {
  isStateful = variant === "stateful";
  const backend = isStateful ? "cpu" : variant;
  const needs = ["@tensorflow/tfjs", ...(backend === "wasm" ? ["@tensorflow/tfjs-backend-wasm"] : [])];
  return {
    name: `tfjs.layers.lstm${variant === "cpu" ? "" : `[${variant}]`}`,
    needs,
    features: ALL_FEATURES.filter((name) => !isStateful || !NOT_STATEFUL.includes(name)),
    load: () => load(needs, backend),
    supports,
    dialect,
    masks,
    solve,
  };
}

async function load(packages, backend) {
  [tf] = await Promise.all(packages.map((name) => import(name)));
  if (!(await tf.setBackend(backend))) throw new Error(`cannot initialize the backend ${backend}`);
  return {
    device: tf.getBackend(),
    ...(backend === "webgl" && webgl()),
    stacked: "one layer after another, each in tf.layers.bidirectional if the stack is bidirectional",
    lengths: "mask",
    "time-major": "input, output and their gradients are transposed: layers take (batch, time, features) only",
    ...(isStateful ? { path: "a call for each piece, or two with half of the steps; the layer carries its state" } : {}),
    "cell dropout": "tf.dropout draws the masks, as in tf.layers; dropoutFunc passes it the seeds",
    gradients: "tf.variableGrads",
  };
}

/** Describes what computes. On devices without textures of float32, TensorFlow.js stores float16. */
function webgl() {
  const { gl } = tf.backend().gpgpu;
  const renderer = gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL);
  return { renderer, textures: tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED") ? "float32" : "float16" };
}

function supports(c) {
  if (isStateful && c.seq_len < 2) return "a single time step cannot be split into two calls";
  if (c.direction === "reverse" && c.num_layers > 1)
    return "tf.layers.lstm({goBackwards: true}) returns its output last step first, which the next layer reverses";
  const [gate, candidate, cell] = c.activations;
  if (candidate !== cell) return "tf.layers.lstm has a single activation for the candidate and the cell state";
  const unknown = [gate, candidate].find((name) => !(name in ACTIVATIONS));
  return unknown ? `TensorFlow.js has no activation ${unknown}` : null;
}

/** TensorFlow.js repeats the last valid output at masked steps, and returns reverse-only outputs last step first. */
const dialect = (c) => ({ padding: "repeat", reverse_output: c.direction === "reverse" ? "processing" : "input" });

/** Makes the earlier calls of a case, runs the stack and, if the case compares gradients, differentiates it. */
async function solve(c, given) {
  const tensors = mistaken(given);
  const differentiates = c.check.includes("gradients");
  tf.engine().startScope();
  try {
    const layers = [];
    for (let layer = 0; layer < c.num_layers; layer++) layers.push(await makeLayer(c, tensors, layer));
    for (const [word, one, own] of earlierCalls(c, given)) {
      if (word === "other-weights") setWeights(c, layers, own);
      try {
        solveOnce(layers, one, own, differentiates && !["no-grad", "error"].includes(word));
      } catch (error) {
        if (word !== "error") throw error;
      } finally {
        if (word === "other-weights") setWeights(c, layers, tensors);
      }
    }
    return solveOnce(layers, c, tensors, differentiates);
  } finally {
    tf.engine().endScope();
    tf.disposeVariables();
  }
}

/** Runs a stack as a case says. Returns the results, and the gradients if asked to, by their canonical names. */
function solveOnce(layers, c, tensors, differentiates) {
  layers.forEach((layer, k) => seedDropout(c, layer, k));
  const x = variable(batchMajor(c, tensors.input));
  const names = c.initial_state === "omitted" ? [] : ["h_0", "c_0"];
  const initial = layers.map((_, layer) => orderedStates(c, tensors, names, layer).map(variable));
  const mask = stepMask(c, tensors);
  const given = { input: x, ...(mask && { mask }), ...numbered(initial.flat()) };
  const split = isStateful && !c.chunks.length ? { ...c, chunks: halves(c) } : c;
  const forward = () => {
    if (isStateful) layers.forEach((layer) => layer.resetStates());
    const { output, ...finals } = called(calls(split, given, ARRAYS, () => 0, 1), stackCall(layers, c));
    return [output, ...Object.values(finals)].map((tensor) => tf.keep(tensor));
  };
  if (!differentiates) return results(c, tf.tidy(forward));
  const cotangents = cotangentsOf(c, tensors, layers);
  const weights = layers.map((layer) => layer.trainableWeights.map((weight) => weight.val));
  const trained = initial.flat().filter((_, k) => !isFrozen(c, names[k % 2]));
  const sources = isFrozen(c, "input") ? trained : [x, ...trained];
  weights.flat().forEach((weight, k) => {
    if (!isFrozen(c, ...rolesOf(c, k))) sources.push(weight);
  });
  let outputs;
  const total = () => {
    outputs = forward();
    return tf.addN(outputs.flatMap((output, k) => (cotangents[k] ? [tf.sum(tf.mul(output, cotangents[k]))] : [])));
  };
  const { grads } = tf.variableGrads(total, sources);
  const gradient = (source) => array(grads[source.name] ?? tf.zerosLike(source));
  return { ...results(c, outputs), ...gradients(c, gradient(x), initial, weights, gradient) };
}

/**
 * Returns a function that calls the stack once. It takes and returns `input`, `output`, `mask`, and the states of all
 * layers as numbers. A stateful layer that is called without states continues from those that it keeps.
 */
function stackCall(layers, c) {
  let calledBefore = false;
  return ({ input, mask, ...initial }) => {
    const given = Object.values(initial);
    const each = given.length / layers.length;
    let sequence = input;
    const finals = layers.flatMap((layer, k) => {
      const options = { mask, training: c.mode === "train" };
      if (given.length && !(isStateful && calledBefore)) options.initialState = given.slice(k * each, (k + 1) * each);
      const [output, ...final] = layer.apply(sequence, options);
      sequence = output;
      return final;
    });
    calledBefore = true;
    return { output: sequence, ...numbered(finals) };
  };
}

/** Returns an object whose keys are the positions in a list, with a prefix that keeps them in order. */
const numbered = (list) => Object.fromEntries(list.map((value, k) => [`state ${k}`, value]));

const halves = ({ seq_len: steps }) => [Math.floor(steps / 2), Math.ceil(steps / 2)];

/** TensorFlow.js' functions for `calls`. */
const ARRAYS = {
  cut: (x, axis, start, stop) => x.slice([...Array(axis).fill(0), start], [...Array(axis).fill(-1), stop - start]),
  join: (list, axis) => tf.concat(list, axis),
};

/**
 * Returns the cotangents of the output and of all final states, null for those that the loss does not read. In an
 * earlier call, all are ones.
 */
function cotangentsOf(c, tensors, layers) {
  const isEarlier = !Object.keys(tensors).some((name) => name.startsWith("cotangent."));
  const read = (name) => c.cotangents.includes(name);
  if (isEarlier) {
    const width = ends(c, 0).length * hiddenSizes(c).at(-1);
    const both = (k) => [...ends(c, k), ...ends(c, k)];
    const ones = layers.flatMap((_, k) => both(k).map(() => tf.ones([c.batch, hiddenSizes(c)[k]])));
    return [tf.ones([c.batch, c.seq_len, width]), ...ones];
  }
  const output = read("output") ? tensor(batchMajor(c, tensors["cotangent.output"])) : null;
  const finals = layers.flatMap((_, k) =>
    ends(c, k).flatMap((_end, direction) =>
      ["h_n", "c_n"].map((name) => {
        if (!read(name)) return null;
        return tensor(first(rows(state(c, tensors, `cotangent.${name}`, k), direction, direction + 1)));
      }),
    ),
  );
  return [output, ...finals];
}

/** Creates a layer with a problem's weights. If the case is saved, it comes from a model that was saved and loaded. */
async function makeLayer(c, tensors, layer) {
  const [recurrentActivation, activation] = c.activations.map((name) => ACTIVATIONS[name]);
  const one = tf.layers.lstm({
    units: hiddenSizes(c)[layer],
    activation,
    recurrentActivation,
    useBias: c.bias,
    kernelInitializer: "zeros",
    recurrentInitializer: "zeros",
    unitForgetBias: false,
    dropout: c.input_dropout,
    recurrentDropout: c.recurrent_dropout,
    returnSequences: true,
    returnState: true,
    stateful: isStateful,
    goBackwards: c.direction === "reverse",
  });
  const whole = c.direction === "bidirectional" ? tf.layers.bidirectional({ layer: one, mergeMode: "concat" }) : one;
  const width = layer ? ends(c, layer).length * hiddenSizes(c)[layer - 1] : c.input_size;
  const input = tf.input({ batchShape: [isStateful ? c.batch : null, null, width] });
  const outputs = whole.apply(input); // Creates the weights.
  whole.setWeights(packedWeights(c, tensors, layer));
  if (!c.saved) return whole;
  let saved;
  const model = tf.model({ inputs: input, outputs });
  await model.save(tf.io.withSaveHandler((artifacts) => ((saved = artifacts), { modelArtifactsInfo: {} })));
  const loaded = await tf.loadLayersModel(tf.io.fromMemory(saved));
  return loaded.layers.at(-1);
}

/** Replaces the weights of all layers in place. */
const setWeights = (c, layers, tensors) =>
  layers.forEach((layer, k) => layer.setWeights(packedWeights(c, tensors, k)));

const packedWeights = (c, tensors, layer) => ends(c, layer).flatMap((end) => packed(c, tensors, end).map(tensor));

/** Returns whether all tensors that a weight consists of are frozen. */
const isFrozen = (c, ...names) => names.every((name) => c.frozen.includes(name));

/** Returns the canonical names of the tensors in the k-th weight of a stack. */
function rolesOf(c, k) {
  const roles = [["weight_ih"], ["weight_hh"], ...(c.bias ? [["bias_ih", "bias_hh"]] : [])];
  const suffixes = Array.from({ length: c.num_layers }, (_, layer) => ends(c, layer)).flat();
  return roles[k % roles.length].map((role) => `${role}_${suffixes[Math.floor(k / roles.length)]}`);
}

/** Gives the cells of a layer new sources of dropout masks. */
function seedDropout(c, layer, k) {
  const cells = c.direction === "bidirectional" ? [layer.forwardLayer.cell, layer.backwardLayer.cell] : [layer.cell];
  ends(c, k).forEach((end, direction) => (cells[direction].dropoutFunc = makeDropout(end)));
}

/** Returns a seeded `tf.dropout` for one cell. Masks differ between calls and repeat between runs. */
function makeDropout(end) {
  let asked = 0;
  return (ones, rate) => tf.dropout(ones, rate, undefined, `${end} ${asked++}`);
}

/**
 * Returns the masks that `solve` draws. A cell draws four for its input, then four for its hidden state, and uses the
 * first of each.
 */
function masks(c, tensors) {
  const found = {};
  for (const [layer, units] of hiddenSizes(c).entries())
    for (const end of ends(c, layer)) {
      const draw = makeDropout(end);
      const width = { input: tensors[`weight_ih_${end}`].shape[1], recurrent: units };
      for (const [kind, rate] of Object.entries({ input: c.input_dropout, recurrent: c.recurrent_dropout }))
        if (rate) {
          const shape = [c.batch, width[kind]];
          const [first] = rate < 1 ? [1, 2, 3, 4].map(() => draw(tf.ones(shape), rate)) : [tf.zeros(shape)];
          found[`${kind}_${end}`] = array(first);
        }
    }
  return found;
}

/** Returns one direction's weights in TensorFlow.js' order: kernel (I, 4H), recurrent kernel (H, 4H), bias (4H,). */
function packed(c, tensors, end) {
  const kernels = ["weight_ih", "weight_hh"].map((role) => swapped(tensors[`${role}_${end}`]));
  if (!c.bias) return kernels;
  const [{ shape, data }, { data: recurrent }] = ["bias_ih", "bias_hh"].map((role) => tensors[`${role}_${end}`]);
  return [...kernels, { dtype: "F32", shape, data: data.map((value, k) => value + recurrent[k]) }];
}

/** Returns a layer's states (B, H) in TensorFlow.js' order: h and c of each direction in turn. */
const orderedStates = (c, tensors, names, layer) =>
  ends(c, layer).flatMap((_, direction) =>
    names.map((name) => first(rows(state(c, tensors, name, layer), direction, direction + 1))),
  );

/** Returns the output and each layer's final states, given in TensorFlow.js' order, under their canonical names. */
function results(c, [output, ...finals]) {
  const found = { output: batchMajor(c, array(output)), ...namedStates(c, ["h_n", "c_n"], finals.map(array)) };
  tf.dispose([output, ...finals]);
  return found;
}

/** Returns the gradients of input, initial states and weights under their canonical names. */
function gradients(c, input, initial, weights, gradient) {
  const found = { "grad.input": batchMajor(c, input) };
  if (initial[0].length) Object.assign(found, namedStates(c, ["grad.h_0", "grad.c_0"], initial.flat().map(gradient)));
  weights.forEach((layer, k) => {
    const width = layer.length / ends(c, k).length;
    ends(c, k).forEach((end, direction) => {
      const [kernel, recurrent, bias] = layer.slice(direction * width, (direction + 1) * width).map(gradient);
      found[`grad.weight_ih_${end}`] = swapped(kernel);
      found[`grad.weight_hh_${end}`] = swapped(recurrent);
      if (bias) found[`grad.bias_ih_${end}`] = found[`grad.bias_hh_${end}`] = bias;
    });
  });
  return found;
}

/** Returns the states of all layers, given in TensorFlow.js' order, under their canonical names. */
function namedStates(c, names, flat) {
  const each = 2 * ends(c, 0).length;
  const layers = hiddenSizes(c).map((_, layer) => flat.slice(layer * each, (layer + 1) * each));
  const of = (k) => layers.map((layer) => concatenated(layer.filter((_, at) => at % 2 === k).map(unsqueezed)));
  return Object.assign({}, ...names.map((name, k) => states(c, name, of(k))));
}

/** Returns the mask of valid steps (B, T), or null if all are valid. */
function stepMask(c, { lengths, mask }) {
  if (mask) return tensor(swapped(mask));
  if (!lengths) return null;
  const counts = [...lengths.data].map((length) => Array.from({ length: c.seq_len }, (_, step) => step < length));
  return tf.tensor2d(counts, undefined, "bool");
}

/**
 * Converts a case's input, output or cotangent to (B, T, ·), or such a tensor to the case's axes. A wrong input can
 * have an additional first axis, of size 1.
 */
function batchMajor(c, array) {
  const { dtype, shape, data } = array;
  if (c.batch_first) return array;
  return shape.length > 3 ? unsqueezed(swapped({ dtype, shape: shape.slice(1), data })) : swapped(array);
}

const first = ({ dtype, shape, data }) => ({ dtype, shape: shape.slice(1), data });

const tensor = ({ dtype, shape, data }) =>
  tf.tensor(dtype === "F64" ? Float32Array.from(data) : data, shape, dtype === "BOOL" ? "bool" : "float32");

const variable = (array) => tf.variable(tensor(array));

// For a tensor without elements, dataSync can return a plain array.
const array = (result) => ({ dtype: "F32", shape: result.shape, data: Float32Array.from(result.dataSync()) });

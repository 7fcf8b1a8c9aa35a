/** ONNX models of cases as protobuf bytes, and the harness of a runtime that reads them. */
import { ends, hiddenSizes, reordered, state, states } from "./cases.mjs";
import { bytes, concatenated, joinedBytes, unsqueezed, utf8 } from "./tensors.mjs";
// prettier-ignore
import {
  FEATURES as USES, TENSORS, calledAsync, calls, earlierCalls, isBatchDynamic, isTimeDynamic, mistaken,
} from "./uses.mjs";

const OPSET = 22; // The newest opset that changed the LSTM operator.
const IR = 10;
const FLOAT_TYPES = { F32: 1, F16: 10 };
const INT32 = 6;
const INT64 = 7;

// prettier-ignore
const FEATURES = [
  "layers", "sizes per layer", "bidirectional", "reverse", "lengths", "no bias", "batch first", "state omitted",
  "peepholes", "coupled gates", "activations", "activations per direction", "clip", "float32", "float16",
  ...USES, "wrong dtype", "wrong lengths",
];
/** Names of activations in ONNX, with the alpha and beta of those that have constants. */
const ACTIVATIONS = {
  sigmoid: ["Sigmoid"],
  tanh: ["Tanh"],
  relu: ["Relu"],
  leaky_relu: ["LeakyRelu", 0.1],
  elu: ["Elu", 1],
  affine: ["Affine", 0.75, 0.1],
  hard_sigmoid: ["HardSigmoid", 0.2, 0.5],
  hard_sigmoid_6: ["HardSigmoid", 1 / 6, 0.5],
  scaled_tanh: ["ScaledTanh", 1.2, 0.8],
  softsign: ["Softsign"],
};

/**
 * Returns an implementation for `serve` that runs ONNX models.
 *
 * @param name name of the npm package and of the implementation
 * @param load function that imports the runtime and returns it with its description
 * @param stored async function that stores bytes, calls a function with their path or URL, and returns its result
 */
export function runtime(name, load, stored) {
  let ort;
  return {
    name,
    needs: [name],
    features: FEATURES,
    async load() {
      let description;
      [ort, description] = await load();
      const graph = `opset ${OPSET}, one LSTM node per layer with Transpose and Reshape in between`;
      const transposed = "Transpose nodes around the stack";
      return { ...description, model: graph, "batch first": transposed, lengths: "sequence_lens" };
    },
    // ONNX defines Y_h as "the last output value", which a row of length 0 lacks; onnxruntime's tests pin 0
    // (microsoft/onnxruntime#28052).
    dialect: () => ({ zero_length: "zero" }),
    supports(c) {
      if (c.chunks.length && c.initial_state === "omitted")
        return "a model without inputs for both initial states cannot continue a sequence";
      return null;
    },
    async solve(c, given) {
      const { dtype } = given.input;
      const create = (source) => ort.InferenceSession.create(source, { logSeverityLevel: 4 });
      const session = await (c.saved ? stored(model(c, given), create) : create(model(c, given)));
      const rowAxis = (key) => (key === "lengths" || (/^(input|output)$/.test(key) && c.batch_first) ? 0 : 1);
      const runOnce = (one, tensors) =>
        calledAsync(calls(one, argumentsOf(one, tensors), TENSORS, rowAxis, c.batch_first ? 1 : 0), async (named) =>
          resultsOf(c, dtype, await session.run(feeds(named, ort))),
        );
      try {
        for (const [word, one, tensors] of earlierCalls(c, given)) {
          const call = runOnce(one, tensors);
          await (word === "error" ? call.catch(() => null) : call);
        }
        return solution(c, await runOnce(c, mistaken(given)));
      } finally {
        await session.release();
      }
    },
  };
}

/**
 * Returns the bytes of a case's ModelProto, with its weights as initializers.
 *
 * Inputs: `input`, and if the problem has them `sequence_lens` (B,) and `h_0_l0`, `c_0_l0` … (D, B, H).
 * Outputs: `output`, and `h_n_l0`, `c_n_l0` … (D, B, H).
 */
export function model(c, tensors) {
  const type = FLOAT_TYPES[tensors.input.dtype];
  const [steps, batch] = [isTimeDynamic(c) ? null : c.seq_len, isBatchDynamic(c) ? null : c.batch];
  const inputs = [declared("input", type, [...(c.batch_first ? [batch, steps] : [steps, batch]), c.input_size])];
  const outputs = [declared("output", type, [null, null, null])];
  const nodes = [];
  const initializers = [];
  let sequence = "input";
  if (c.batch_first) nodes.push(node("Transpose", ["input"], [(sequence = "time_major")], { perm: [1, 0, 2] }));
  if (tensors.lengths) inputs.push(declared("sequence_lens", INT32, [batch]));
  hiddenSizes(c).forEach((hidden, layer) => {
    const weights = weightsOf(c, tensors, layer);
    for (const [name, { shape, data }] of Object.entries(weights))
      initializers.push(initializer(`${name}_l${layer}`, type, shape, data));
    const given = ["h_0", "c_0"].map((name) => (tensors.h_0 || tensors.h_0_l0 ? `${name}_l${layer}` : ""));
    const finals = ["h_n", "c_n"].map((name) => `${name}_l${layer}`);
    const shape = [ends(c, layer).length, batch, hidden];
    inputs.push(...given.filter(Boolean).map((name) => declared(name, type, shape)));
    outputs.push(...finals.map((name) => declared(name, type, shape)));
    const read = [sequence, ...["W", "R", "B"].map((name) => (weights[name] ? `${name}_l${layer}` : ""))];
    read.push(tensors.lengths ? "sequence_lens" : "", ...given, weights.P ? `P_l${layer}` : "");
    const apart = `Y_l${layer}`;
    nodes.push(node("LSTM", read, [apart, ...finals], { hidden_size: hidden, ...attributes(c) }));
    nodes.push(node("Transpose", [apart], [`rows_l${layer}`], { perm: [0, 2, 1, 3] }));
    sequence = layer === c.num_layers - 1 && !c.batch_first ? "output" : `stacked_l${layer}`;
    const width = BigInt(ends(c, layer).length * hidden);
    initializers.push(initializer(`merged_l${layer}`, INT64, [3], BigInt64Array.of(0n, 0n, width)));
    nodes.push(node("Reshape", [`rows_l${layer}`, `merged_l${layer}`], [sequence]));
  });
  if (c.batch_first) nodes.push(node("Transpose", [sequence], ["output"], { perm: [1, 0, 2] }));
  const graph = message({ 1: nodes, 2: "lstm", 5: initializers, 11: inputs, 12: outputs });
  return message({ 1: IR, 7: graph, 8: message({ 2: OPSET }) });
}

/** Returns the attributes of an LSTM node besides its hidden size. Defaults of ONNX are left out. */
function attributes(c) {
  const options = { direction: c.direction };
  if (c.coupled_gates) options.input_forget = 1;
  if (c.clip) options.clip = Float32Array.of(c.clip);
  if (c.activations.join() !== "sigmoid,tanh,tanh") {
    const repeated = c.direction === "bidirectional" && c.activations.length === 3;
    const named = [...c.activations, ...(repeated ? c.activations : [])].map((name) => ACTIVATIONS[name]);
    const constants = (place) => named.map((each) => each[place]).filter((constant) => constant !== undefined);
    options.activations = named.map(([name]) => name);
    if (constants(1).length) options.activation_alpha = constants(1).map((constant) => Float32Array.of(constant));
    if (constants(2).length) options.activation_beta = constants(2).map((constant) => Float32Array.of(constant));
  }
  return options;
}

/** Returns one layer's W (D, 4H, I), R (D, 4H, H) and, if present, B (D, 8H) and P (D, 3H). */
function weightsOf(c, tensors, layer) {
  const stacked = (stored, wanted, ...roles) => {
    const own = (end) => concatenated(roles.map((role) => reordered(tensors[`${role}_${end}`], stored, wanted)));
    return concatenated(ends(c, layer).map((end) => unsqueezed(own(end))));
  };
  const weights = { W: stacked("ifgo", "iofg", "weight_ih"), R: stacked("ifgo", "iofg", "weight_hh") };
  if (c.bias) weights.B = stacked("ifgo", "iofg", "bias_ih", "bias_hh");
  if (c.peepholes) weights.P = stacked("ifo", "iof", "peephole");
  return weights;
}

/** Returns the arguments of a call by name: `input`, `lengths`, and the states of each layer, `h_0_l0`, `c_0_l0` … */
function argumentsOf(c, tensors) {
  const given = { input: tensors.input };
  if (tensors.lengths) given.lengths = tensors.lengths;
  for (let layer = 0; (tensors.h_0 || tensors.h_0_l0) && layer < c.num_layers; layer++)
    for (const name of ["h_0", "c_0"]) given[`${name}_l${layer}`] = state(c, tensors, name, layer);
  return given;
}

/** Returns the inputs of a model for the arguments of a call. */
function feeds({ lengths, ...given }, ort) {
  const types = { F64: "float64", F32: "float32", F16: "float16" };
  const tensor = ({ dtype, shape, data }) => new ort.Tensor(types[dtype], data, shape);
  const found = Object.fromEntries(Object.entries(given).map(([name, array]) => [name, tensor(array)]));
  if (lengths) found.sequence_lens = new ort.Tensor("int32", Int32Array.from(lengths.data, Number));
  return found;
}

/** Returns a model's outputs as tensors, each final state under the name of the initial state that continues it. */
function resultsOf(c, dtype, outputs) {
  const tensor = ({ dims, data }) => ({
    dtype,
    shape: dims,
    data: dtype === "F16" ? new Uint16Array(data.buffer) : data,
  });
  const found = { output: tensor(outputs.output) };
  for (let layer = 0; layer < c.num_layers; layer++)
    for (const name of ["h", "c"]) found[`${name}_0_l${layer}`] = tensor(outputs[`${name}_n_l${layer}`]);
  return found;
}

/** Returns results under their canonical names and in their canonical shapes. */
function solution(c, results) {
  const layers = (name) => hiddenSizes(c).map((_, layer) => results[`${name}_l${layer}`]);
  return { output: results.output, ...states(c, "h_n", layers("h_0")), ...states(c, "c_n", layers("c_0")) };
}

// The part of Protocol Buffers that onnx.proto needs. Fields are keyed by number; a repeated field is a list.

const message = (fields) =>
  joinedBytes(
    Object.entries(fields).flatMap(([number, value]) => [value].flat().flatMap((each) => field(number, each))),
  );

function field(number, value) {
  if (value instanceof Float32Array) return [varint(number * 8 + 5), bytes(value)];
  if (Number.isInteger(value)) return [varint(number * 8), varint(value)];
  const content = typeof value === "string" ? utf8(value) : bytes(value);
  return [varint(number * 8 + 2), varint(content.length), content];
}

function varint(value) {
  const digits = [];
  for (; value > 127; value = Math.floor(value / 128)) digits.push((value % 128) + 128);
  return Uint8Array.of(...digits, value);
}

const node = (type, inputs, outputs, options = {}) =>
  message({
    1: inputs,
    2: outputs,
    4: type,
    5: Object.entries(options).map(([name, value]) => attribute(name, value)),
  });

/** Encodes an attribute: an integer, a float as Float32Array, a string, or a list of these. */
function attribute(name, value) {
  const [one] = [value].flat();
  // In the order of the fields and types of AttributeProto.
  const kind = one instanceof Float32Array ? 0 : Number.isInteger(one) ? 1 : 2;
  return message(
    Array.isArray(value) ? { 1: name, [7 + kind]: value, 20: 6 + kind } : { 1: name, [2 + kind]: value, 20: 1 + kind },
  );
}

const initializer = (name, type, shape, data) => message({ 1: shape, 2: type, 8: name, 9: bytes(data) });

/** Encodes a ValueInfoProto. A size of null is unspecified. */
const declared = (name, type, shape) => {
  const sizes = shape.map((size) => message(size === null ? {} : { 1: size }));
  return message({ 1: name, 2: message({ 1: message({ 1: type, 2: message({ 1: sizes }) }) }) });
};

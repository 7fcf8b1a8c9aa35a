/**
 * Named tensors as bytes in the safetensors format, and functions that swap axes, slice and concatenate.
 *
 * A tensor is `{ dtype, shape, data }`: the format's name of its dtype, a list, and a row-major typed array.
 */

/** Typed array of each dtype. F16 is stored as bits, since JavaScript lacks float16 arrays. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** Parses bytes into tensors by name. */
export function loads(block) {
  const size = 8 + Number(new DataView(block.buffer, block.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(block.subarray(8, size)));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [first, end] = data_offsets.map((offset) => size + offset);
    // Copies the bytes, because a typed array must be aligned to its element size.
    const bytes = Uint8Array.prototype.slice.call(block, first, end);
    tensors[name] = { dtype, shape, data: new ARRAYS[dtype](bytes.buffer) };
  }
  return tensors;
}

/** Serializes named tensors. */
export function dumps(tensors) {
  const header = {};
  const blocks = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, (offset += data.byteLength)] };
    blocks.push(bytes(data));
  }
  const text = utf8(JSON.stringify(header));
  return joinedBytes([bytes(BigUint64Array.of(BigInt(text.length))), text, ...blocks]);
}

/** Returns the bytes of a typed array as a view. */
export const bytes = (data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Returns the bytes of a string. */
export const utf8 = (text) => new TextEncoder().encode(text);

/** Concatenates lists of bytes. */
export function joinedBytes(blocks) {
  const all = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let offset = 0;
  for (const block of blocks) {
    all.set(block, offset);
    offset += block.length;
  }
  return all;
}

/** Swaps the first two axes: copies (M, N, …) to (N, M, …). */
export function swapped({ dtype, shape: [height, width, ...rest], data }) {
  const size = rest.reduce((product, each) => product * each, 1);
  const moved = new data.constructor(data.length);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const from = (row * width + column) * size;
      moved.set(data.subarray(from, from + size), (column * height + row) * size);
    }
  return { dtype, shape: [width, height, ...rest], data: moved };
}

/** Returns the rows from `first` up to `end` as a view: (M, …) to (end - first, …). */
export function rows({ dtype, shape: [count, ...rest], data }, first, end) {
  const width = data.length / count;
  return { dtype, shape: [end - first, ...rest], data: data.subarray(first * width, end * width) };
}

/** Concatenates tensors along their first axis into a copy. */
export function concatenated(tensors) {
  const total = (sizes) => sizes.reduce((sum, size) => sum + size, 0);
  const [{ dtype, shape, data }] = tensors;
  const all = new data.constructor(total(tensors.map((tensor) => tensor.data.length)));
  let offset = 0;
  for (const tensor of tensors) {
    all.set(tensor.data, offset);
    offset += tensor.data.length;
  }
  return { dtype, shape: [total(tensors.map((tensor) => tensor.shape[0])), ...shape.slice(1)], data: all };
}

/** Returns the elements at some indices of an axis as a copy. If the axis is empty, they are zeros. */
export function taken({ dtype, shape, data }, axis, indices) {
  const product = (sizes) => sizes.reduce((all, size) => all * size, 1);
  const outer = product(shape.slice(0, axis));
  const inner = product(shape.slice(axis + 1));
  const found = new data.constructor(outer * indices.length * inner);
  for (let block = 0; block < outer; block++)
    indices.forEach((index, k) => {
      const from = (block * shape[axis] + index) * inner;
      if (index < shape[axis]) found.set(data.subarray(from, from + inner), (block * indices.length + k) * inner);
    });
  return { dtype, shape: [...shape.slice(0, axis), indices.length, ...shape.slice(axis + 1)], data: found };
}

/** Concatenates tensors along an axis into a copy. */
export function joined(tensors, axis) {
  if (axis === 0) return concatenated(tensors);
  if (axis === 1) return swapped(concatenated(tensors.map(swapped)));
  throw new RangeError(`cannot concatenate along axis ${axis}`);
}

/** Adds a first axis of size 1. Returns a view. */
export const unsqueezed = ({ dtype, shape, data }) => ({ dtype, shape: [1, ...shape], data });

/**
 * Named tensors as bytes, in the safetensors format, and what harnesses do with them besides: move axes, cut, join.
 *
 * A tensor is `{ dtype, shape, data }`: the format's name of its dtype, a list, and a typed array, row-major.
 */

/** How values are held. F16 is held as bits: JavaScript has no such numbers. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** The tensors that a block of bytes holds, by name. */
export function loads(block) {
  const size = 8 + Number(block.readBigUInt64LE(0));
  const header = JSON.parse(block.toString("utf8", 8, size));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [first, end] = data_offsets.map((offset) => size + offset);
    // A copy: typed arrays must lie at a multiple of their element's size.
    const bytes = Uint8Array.prototype.slice.call(block, first, end);
    tensors[name] = { dtype, shape, data: new ARRAYS[dtype](bytes.buffer) };
  }
  return tensors;
}

/** The bytes of named tensors. */
export function dumps(tensors) {
  const header = {};
  const blocks = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, (offset += data.byteLength)] };
    blocks.push(bytes(data));
  }
  const text = Buffer.from(JSON.stringify(header));
  return Buffer.concat([bytes(BigUint64Array.of(BigInt(text.length))), text, ...blocks]);
}

/** A typed array's bytes, a view. */
export const bytes = (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** A tensor (M, N, …) as (N, M, …), a copy. */
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

/** Rows from a first one up to another: (M, …) as (end - first, …), a view. */
export function rows({ dtype, shape: [count, ...rest], data }, first, end) {
  const width = data.length / count;
  return { dtype, shape: [end - first, ...rest], data: data.subarray(first * width, end * width) };
}

/** Tensors one after the other along their first axis, a copy. */
export function joined(tensors) {
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

/** A tensor with an axis of 1 before its others, a view. */
export const lifted = ({ dtype, shape, data }) => ({ dtype, shape: [1, ...shape], data });

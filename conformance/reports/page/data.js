// The results, which the file contains as compressed JSON.

async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Facts about the run and its implementations, and columns of the cases and rows.
export let data = null;

export async function open() {
  data = await unpack("overview");
  data.rows.error_ratio = data.rows.error_ratio.map(number);
  return data;
}

// The data of the view of a single result, decoded when such a view is first opened.
let opened = null;

export function details() {
  opened ??= unpack("details");
  return opened;
}

// One record of a set of columns; undefined if it is empty.
export function record(columns, place) {
  if (Array.isArray(columns)) return columns[place] ?? undefined;
  const found = Object.entries(columns).map(([name, column]) => [name, record(column, place)]).filter(([, value]) => value !== undefined);
  return found.length ? Object.fromEntries(found) : undefined;
}

// Converts the strings that stand for infinity and NaN in JSON.
export function number(value) {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value === "nan" ? NaN : value;
}

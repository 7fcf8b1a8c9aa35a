// The results, as they lie compressed in the file.

async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Columns of cases and rows, and what implementations are: all that the first view shows.
export let data = null;

export async function open() {
  data = await unpack("overview");
  data.rows.error_ratio = data.rows.error_ratio.map(number);
  return data;
}

// What only the view of one result shows; unpacked when the first one is opened.
let opened = null;

export function details() {
  opened ??= unpack("details");
  return opened;
}

// A record out of columns of them; undefined where it is empty.
export function record(columns, place) {
  if (Array.isArray(columns)) return columns[place] ?? undefined;
  const found = Object.entries(columns).map(([name, column]) => [name, record(column, place)]).filter(([, value]) => value !== undefined);
  return found.length ? Object.fromEntries(found) : undefined;
}

// JSON has no infinities: they are strings.
export function number(value) {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value === "nan" ? NaN : value;
}

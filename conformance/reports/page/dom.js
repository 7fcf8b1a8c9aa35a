// Builds the document. Untrusted data enters it only through these functions, as text or as attributes.

const SVG = "http://www.w3.org/2000/svg";
// Characters that are invisible or change the direction of text. They are shown as escapes.
export const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return String(text).replace(INVISIBLE, (one) => `\\u{${one.charCodeAt(0).toString(16)}}`);
}

// Creates an element: h("a.name", { href: "#/" }, "text", child, …). Null and false are ignored.
export function h(tag, ...rest) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  return fill(node, rest);
}

// Creates an SVG element.
export function s(tag, ...rest) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElementNS(SVG, name);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  return fill(node, rest);
}

function fill(node, rest) {
  for (const part of rest.flat(Infinity)) {
    if (part === null || part === undefined || part === false) continue;
    if (part instanceof Node) node.append(part);
    else if (typeof part === "object") set(node, part);
    else node.append(visible(part));
  }
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name === "width%") node.style.width = `${value}%`;
    else if (name === "width px") node.style.width = `${value}px`;
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : visible(value));
  }
}

// Splits a long name at its dots, brackets and other separators, with an optional line break before each part.
export function breakable(name) {
  return name.split(/(?=\[)|(?<=[.,:/@+])/).flatMap((part, place) => (place ? [h("wbr"), part] : [part]));
}

// Creates an external link for http and https. Any other address becomes text.
export function external(address, text = address) {
  if (!/^https?:\/\/[^\s]+$/i.test(address)) return h("span", text);
  return h("a.out", { href: address, rel: "noopener noreferrer" }, text);
}

export function replace(node, ...children) {
  node.replaceChildren();
  return fill(node, children);
}

// Creates a button that copies a text.
export function copyButton(text, what) {
  const button = h("button.copy", { type: "button", "aria-label": `Copy ${what}`, click: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = h("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    replace(button, "Copied");
    setTimeout(() => replace(button, "Copy"), 1500);
  }
  return button;
}

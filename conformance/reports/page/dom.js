// The only way from data into the document: elements, attributes that are named here, and text.

const SVG = "http://www.w3.org/2000/svg";
// What cannot be seen, or turns the direction of what follows, is shown by its number.
export const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return String(text).replace(UNSEEN, (one) => `\\u{${one.charCodeAt(0).toString(16)}}`);
}

// h("a.name", {href: "#/"}, "text", child, …): what is null or false is left out.
export function h(tag, ...rest) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  return fill(node, rest);
}

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

// A long name that may be broken where one of its parts begins.
export function breakable(name) {
  return name.split(/(?=\[)|(?<=[.,:/@+])/).flatMap((part, place) => (place ? [h("wbr"), part] : [part]));
}

// A link out of the page, for http and https alone; anything else stays text.
export function outside(address, text = address) {
  if (!/^https?:\/\/[^\s]+$/i.test(address)) return h("span", text);
  return h("a.out", { href: address, rel: "noopener noreferrer" }, text);
}

export function replace(node, ...children) {
  node.replaceChildren();
  return fill(node, children);
}

export function copier(text, what) {
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

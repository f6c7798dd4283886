"use strict";
/* Numbers as people read them, and elements made of text alone: nothing here ever becomes markup. */

const ABSENT = "–";

function isNumber(value) { return typeof value === "number" && Number.isFinite(value); }

function seconds(value) {
  if (!isNumber(value)) return ABSENT;
  const size = Math.abs(value);
  if (size === 0) return "0 ms";
  if (size < 0.001) return "< 1 ms";
  if (size < 0.01) return `${(value * 1e3).toFixed(1)} ms`;
  if (size < 1) return `${Math.round(value * 1e3)} ms`;
  if (size < 10) return `${value.toFixed(2)} s`;
  if (size < 100) return `${value.toFixed(1)} s`;
  if (size < 5400) return `${Math.round(value / 60)} min`;
  if (size < 172800) return `${(value / 3600).toFixed(1)} h`;
  return `${Math.round(value / 86400)} d`;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
function count(value) { return isNumber(value) ? WHOLE.format(value) : ABSENT; }

function short(value) {
  if (!isNumber(value)) return ABSENT;
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toFixed(1)}G`;
  if (size >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(size >= 1e5 ? 0 : 1)}k`;
  return count(value);
}

function rate(value) {
  if (!isNumber(value)) return ABSENT;
  return value === 0 ? "0" : value < 9.95 ? value.toFixed(1) : short(value);
}

function percent(value) {
  if (!isNumber(value)) return ABSENT;
  const shown = value * 100;
  if (shown === 100 || shown === 0) return `${shown} %`;
  if (Math.abs(shown) > 110) return `${count(shown)} %`;
  return `${shown.toFixed((shown > 99.9 && shown < 100.1) || Math.abs(shown) < 0.1 ? 2 : 1)} %`;
}

function bytes(value) {
  if (!isNumber(value)) return ABSENT;
  for (const [name, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]]) {
    if (value >= size) return `${(value / size).toFixed(1)} ${name}`;
  }
  return `${Math.round(value)} B`;
}

function clock(unix) {
  if (!isNumber(unix)) return ABSENT;
  return new Date(unix * 1000).toLocaleTimeString("en-GB");
}

function day(unix) {
  if (!isNumber(unix)) return ABSENT;
  return new Date(unix * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/* Control characters and those that turn the direction of what follows are shown, not obeyed. */
function plain(text) {
  return String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g, "\ufffd");
}

function byId(id) { return document.getElementById(id); }

/* el("b.late", "text", child): children are nodes or text. */
function el(spec, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child instanceof Node ? child : plain(child));
  }
  return node;
}

function setText(node, text) {
  const shown = plain(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/* A number on the page: as text for people, and as it came, for whoever checks it. */
function setNumber(node, value, format) {
  setText(node, format(value));
  const raw = isNumber(value) ? String(value) : "";
  if (node.dataset.v !== raw) node.dataset.v = raw;
}

function setClass(node, name, on) { if (node.classList.contains(name) !== Boolean(on)) node.classList.toggle(name, Boolean(on)); }

function setWidth(node, share) {
  const width = `${Math.round(Math.min(1, Math.max(0, share || 0)) * 1000) / 10}%`;
  if (node.style.width !== width) node.style.width = width;
}

/* One child per name, in that order; those whose name is gone go. */
function keyed(parent, names, make) {
  const known = parent.nodesByName || (parent.nodesByName = new Map());
  for (const [name, made] of known) {
    if (!names.includes(name)) { made.node.remove(); made.gone?.(); known.delete(name); }
  }
  names.forEach((name, at) => {
    if (!known.has(name)) known.set(name, make(name));
    const node = known.get(name).node;
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] || null);
  });
  return known;
}

"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { steps, layers } = data;
const WIDTH = 320, HEIGHT = 130, LEFT = 40, RIGHT = 6, TOP = 6, BOTTOM = 18;
const SVG = "http://www.w3.org/2000/svg";
const lines = [];

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function html(name, parent, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function written(value, panel) {
  if (value === null || value === undefined) return "—";
  if (panel.share) return (100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0) + " %";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

const first = steps.length ? steps[0] : 0, last = steps.length ? steps[steps.length - 1] : 1;
const across = step => LEFT + (WIDTH - LEFT - RIGHT) * (last > first ? (step - first) / (last - first) : 0.5);

function scale(panel) {
  const all = panel.curves.flatMap(curve => curve.values).filter(v => v !== null && (!panel.log || v > 0));
  let low = all.reduce((a, b) => Math.min(a, b), Infinity), high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!all.length) { low = 0; high = 1; }
  if (panel.share) { low = 0; high = Math.min(1, Math.max(high * 1.05, 0.05)); }
  else if (!panel.log && low >= 0 && low < 0.5 * high) low = 0;
  const bend = panel.log ? Math.log10 : v => v;
  let a = bend(low), b = bend(high);
  if (!(b - a > 1e-12)) { a -= 0.5; b += 0.5; }
  return { low, high, up: v => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (bend(v) - a) / (b - a) };
}

function path(values, panel, up) {
  let out = "", pen = false;
  values.forEach((value, i) => {
    if (value === null || (panel.log && value <= 0)) { pen = false; return; }
    out += (pen ? "L" : "M") + across(steps[i]).toFixed(1) + " " + up(value).toFixed(1);
    if (!pen && (i + 1 >= values.length || values[i + 1] === null)) out += "h.01";
    pen = true;
  });
  return out;
}

const colors = new Map([[-1, 0]]);
function chosen(panel) {
  // A layer keeps its colour from panel to panel, unless another of the same panel has it.
  const free = [0, 1, 2, 3, 4, 5];
  return panel.moved.map(i => {
    const layer = panel.curves[i].layer, wanted = colors.has(layer) ? colors.get(layer) : (colors.size - 1) % 6;
    const color = free.includes(wanted) ? wanted : free[0];
    free.splice(free.indexOf(color), 1);
    if (!colors.has(layer)) colors.set(layer, color);
    return color;
  });
}

function draw(panel, parent) {
  const color_of = chosen(panel);
  const figure = html("figure", parent);
  const caption = html("figcaption", figure, panel.title);
  html("span", caption, panel.meaning + ".");
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": panel.title + " over steps" }, figure);
  const { low, high, up } = scale(panel);
  for (const value of [low, high]) {
    element("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: up(value), y2: up(value), stroke: "var(--faint)", "stroke-width": 0.6 }, svg);
    element("text", { x: LEFT - 4, y: up(value) + 3, "text-anchor": "end" }, svg, written(value, panel));
  }
  element("text", { x: LEFT, y: HEIGHT - 4 }, svg, first.toLocaleString("en"));
  element("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, svg, last.toLocaleString("en"));
  for (const mark of data.marks) {
    if (mark.kind === "note" || mark.kind === "good" || mark.step < first || mark.step > last) continue;
    const color = mark.kind === "problem" || mark.kind === "warning" ? `var(--${mark.kind})` : "var(--muted)";
    const line = element("line", { x1: across(mark.step), x2: across(mark.step), y1: TOP, y2: HEIGHT - BOTTOM, stroke: color, "stroke-width": 0.8, "stroke-dasharray": "2 2", opacity: 0.7 }, svg);
    element("title", {}, line, mark.text);
  }
  const order = panel.curves.map((_, i) => i).sort((a, b) => panel.moved.includes(a) - panel.moved.includes(b));
  for (const i of order) {
    const rank = panel.moved.indexOf(i);
    const color = rank < 0 ? "var(--faint)" : `var(--c${color_of[rank]})`;
    const line = element("path", { d: path(panel.curves[i].values, panel, up), fill: "none", stroke: color, "stroke-width": rank < 0 ? 1 : 1.6, "stroke-linejoin": "round", "stroke-linecap": "round" }, svg);
    if (panel.curves[i].layer >= 0) element("title", {}, line, layers[panel.curves[i].layer].join(" "));
  }
  const now = element("line", { y1: TOP, y2: HEIGHT - BOTTOM, stroke: "var(--ink)", "stroke-width": 0.8 }, svg);
  const key = html("div", figure);
  key.className = "key";
  const shown = panel.moved.map((i, rank) => {
    const entry = html("span", key);
    const name = panel.curves[i].layer < 0 ? "" : layers[panel.curves[i].layer][0] || "(the model)";
    const label = html("b", entry, name);
    label.style.color = `var(--c${color_of[rank]})`;
    label.style.fontWeight = "600";
    return [i, html("i", entry, "")];
  });
  lines.push(at => {
    const x = across(steps[at]);
    now.setAttribute("x1", x);
    now.setAttribute("x2", x);
    for (const [i, place] of shown) place.textContent = " " + written(panel.curves[i].values[at], panel);
  });
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const step = first + (last - first) * ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    let best = 0;
    steps.forEach((value, i) => { if (Math.abs(value - step) < Math.abs(steps[best] - step)) best = i; });
    if (event.buttons || event.pointerType === "mouse") show(best);
  });
}

function tabulate(at) {
  const table = document.getElementById("table");
  table.replaceChildren();
  const head = html("tr", html("thead", table));
  html("th", head, "layer").scope = "col";
  for (const panel of data.panels) html("th", head, panel.title).scope = "col";
  const body = html("tbody", table);
  layers.forEach(([name, module], i) => {
    const row = html("tr", body);
    html("td", row, name || "(the model)").title = module;
    for (const panel of data.panels) {
      const curve = panel.curves.find(c => c.layer === i);
      html("td", row, curve ? written(curve.values[at], panel) : "");
    }
  });
}

const slider = document.getElementById("frame");
function show(at) {
  slider.value = at;
  document.getElementById("at").textContent = steps[at].toLocaleString("en");
  const from = at > 0 ? steps[at - 1] : -1;
  const said = data.marks.filter(mark => mark.step > from && mark.step <= steps[at]).map(mark => mark.text);
  document.getElementById("said").textContent = said.join("  ·  ");
  lines.forEach(update => update(at));
  tabulate(at);
}

function timeline() {
  const svg = document.getElementById("line");
  svg.setAttribute("viewBox", "0 0 1000 16");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const mark of data.marks) {
    const x = last > first ? 1000 * (mark.step - first) / (last - first) : 500;
    const color = ["problem", "warning", "note", "good"].includes(mark.kind) ? `var(--${mark.kind})` : "var(--muted)";
    const line = element("rect", { x: Math.min(Math.max(x, 0), 996), width: 4, y: 2, height: 12, fill: color }, svg);
    element("title", {}, line, `step ${mark.step}: ${mark.text}`);
  }
}

if (steps.length) {
  slider.max = steps.length - 1;
  data.network.forEach(panel => draw(panel, document.getElementById("network")));
  data.panels.forEach(panel => draw(panel, document.getElementById("panels")));
  timeline();
  slider.addEventListener("input", () => show(Number(slider.value)));
  show(steps.length - 1);
}

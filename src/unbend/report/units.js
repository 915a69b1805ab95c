"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const colors = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#7b8087", "#d9c700", "#882255", "#4b3fa7"];
const PER_PAGE = 48;
const sorts = {
  "most remarkable first": (l) => l.order,
  "selectivity": (l) => by(l.selectivity),
  "firing rate, highest first": (l) => by(l.rate),
  "firing rate, lowest first": (l) => by(l.rate).reverse(),
  "strongest answer": (l) => by(l.high.value.map((v) => v[0] ?? -Infinity)),
  "number": (l) => l.rate.map((_, i) => i),
};
let page = 0;

function by(values) { return values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b); }
function make(tag, name, text) { const e = document.createElement(tag); if (name) e.className = name; if (text !== undefined) e.textContent = text; return e; }
function option(select, text) { const e = make("option", "", text); e.value = select.options.length; select.append(e); }
function percent(share) { return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`; }

const sprite = new Image();
function thumbnail(at, place, layer, title) {
  const c = make("canvas"), t = data.tile, s = 3;
  c.width = c.height = 99; c.title = title;
  const draw = () => {
    const g = c.getContext("2d"); g.imageSmoothingEnabled = false;
    const size = 99 / Math.max(t.w, t.h), w = t.w * size, h = t.h * size;
    g.drawImage(sprite, (at % t.per) * t.w, Math.floor(at / t.per) * t.h, t.w, t.h, (99 - w) / 2, (99 - h) / 2, w, h);
    if (layer.place.length === 2) {
      const x = (99 - w) / 2 + ((place % layer.place[1]) + .5) / layer.place[1] * w, y = (99 - h) / 2 + (Math.floor(place / layer.place[1]) + .5) / layer.place[0] * h;
      g.strokeStyle = "#d55e00"; g.lineWidth = s; g.beginPath(); g.arc(x, y, 9, 0, 7); g.stroke();
    }
  };
  if (sprite.complete) draw(); else sprite.addEventListener("load", draw);
  return c;
}
function words(at, place) {
  const line = make("p", "text"), row = data.texts[at];
  const start = Math.max(0, place - 6), end = Math.min(row.length, place + 7);
  for (let i = start; i < end; i++) {
    const word = data.vocabulary[row[i]];
    line.append(i === place ? make("b", "", word) : word, " ");
  }
  return line;
}
function examples(side, layer, unit, n) {
  const holder = make("div", data.form === "image" ? "strip" : "");
  side.at[unit].slice(0, n).forEach((at, i) => {
    if (at < 0) return;
    const place = side.place[unit][i] ?? 0, told = `row ${data.ids[at]}, class ${data.classes[data.y[at]] ?? data.y[at]}: ${side.value[unit][i]}`;
    if (data.form === "image") holder.append(thumbnail(at, place, layer, told));
    else if (data.form === "tokens") holder.append(words(at, layer.place.length ? place : -1));
    else holder.append(make("p", "text", told));
  });
  return holder;
}
function classes(layer, unit) {
  const k = data.classes.length, mean = layer.mean.map((row) => row[unit] ?? 0);
  const low = Math.min(0, ...mean), high = Math.max(0, ...mean), size = high - low || 1;
  const bars = make("div", "classes");
  mean.forEach((v, c) => {
    const span = make("span"), bar = make("i");
    span.title = `class ${data.classes[c]}: mean ${v}, above 0 in ${percent(layer.classRate[c][unit])}`;
    bar.style.bottom = `${100 * (Math.min(v, 0) - low) / size}%`; bar.style.height = `${Math.max(100 * Math.abs(v) / size, 1)}%`;
    bar.style.background = colors[c % colors.length];
    span.append(bar); bars.append(span);
  });
  const names = make("div", "names");
  if (k <= 12) data.classes.forEach((name) => names.append(make("span", "", name)));
  return [bars, names];
}
function tuned(layer, unit) {
  if (!layer.tuning) return null;
  const bytes = layer.bytes ??= Uint8Array.from(atob(layer.tuning), (c) => c.charCodeAt(0));
  const t = data.tile, q = t.w * t.h, c = make("canvas", "tuned");
  c.width = t.w; c.height = t.h; c.title = "correlation with every pixel: blue positive, orange negative";
  const g = c.getContext("2d"), image = g.createImageData(t.w, t.h);
  let most = 1;
  for (let i = 0; i < q; i++) most = Math.max(most, Math.abs(bytes[unit * q + i] - 128));
  for (let i = 0; i < q; i++) {
    const v = (bytes[unit * q + i] - 128) / most, a = Math.abs(v), to = v > 0 ? [0, 114, 178] : [230, 120, 0];
    for (let j = 0; j < 3; j++) image.data[4 * i + j] = 247 + a * (to[j] - 247);
    image.data[4 * i + 3] = 255;
  }
  g.putImageData(image, 0, 0);
  return c;
}
function card(layer, unit) {
  const c = make("article", "card");
  c.append(make("h3", "", `${layer.channels ? "channel" : "unit"} ${unit}`), make("p", "reason", layer.reason[unit] || ""));
  c.append(make("p", "", `above 0 in ${percent(layer.rate[unit])} of rows · the classes explain ${percent(layer.selectivity[unit])}`));
  const body = make("div", "body"), left = make("div");
  left.append(...classes(layer, unit)); body.append(left);
  const map = tuned(layer, unit); if (map) body.append(map);
  c.append(body, make("p", "", "strongest"), examples(layer.high, layer, unit, 8), make("p", "", "weakest"), examples(layer.low, layer, unit, data.form === "image" ? 8 : 3));
  return c;
}
function show() {
  const layer = data.layers[$("layer").value], order = Object.values(sorts)[$("sort").value](layer);
  const wanted = Number($("class").value) - 1;
  const chosen = wanted < 0 ? order : order.filter((u) => layer.best[u] === wanted);
  const pages = Math.max(1, Math.ceil(chosen.length / PER_PAGE));
  page = Math.min(page, pages - 1);
  $("where").textContent = `${chosen.length.toLocaleString("en")} of ${order.length.toLocaleString("en")}, page ${page + 1} of ${pages}`;
  $("before").disabled = page === 0; $("next").disabled = page === pages - 1;
  $("cards").replaceChildren(...chosen.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map((u) => card(layer, u)));
}
data.layers.forEach((l) => option($("layer"), `${l.name} · ${l.rate.length.toLocaleString("en")} ${l.kind}`));
Object.keys(sorts).forEach((name) => option($("sort"), name));
["every class", ...data.classes].forEach((name, i) => option($("class"), i ? `class ${name}` : name));
for (const id of ["layer", "sort", "class"]) $(id).addEventListener("change", () => { page = 0; show(); });
$("before").addEventListener("click", () => { page--; show(); });
$("next").addEventListener("click", () => { page++; show(); });
if (data.sprite) sprite.src = data.sprite;
show();

/** Square tables as heat maps: what a read-out takes for what, and how alike the layers are. */

import { px, svg } from "../dom.ts";
import { drawing } from "../frame.ts";
import { Levels } from "../levels.ts";
import { distinct, ofLayers } from "../names.ts";
import type { Place, View } from "../place.ts";
import { percent } from "../write.ts";

export interface Confusion {
  /** Mistakes: true class, read class, how many, share of the true class; the right ones are left out. */
  readonly row: Int32Array;
  readonly column: Int32Array;
  readonly count: Int32Array;
  readonly share: Float32Array;
  readonly shade: Float32Array;
  readonly n_classes: number;
}

export interface Similarity {
  readonly layers: readonly number[];
  readonly cka: Float32Array;
  readonly shade: Float32Array;
}

interface Grid {
  readonly left: number;
  readonly top: number;
  readonly size: number;
  readonly n: number;
}

const WRITTEN = 12;
const NAMED = 40;
const PAIRED = 30;
/** With more classes the most confused pairs are told, beside a small map. */
const PAIRS = 10;
const LETTER = 5.9;
const DARK = 0.55;
const OVER = 0.6;
/** Pixels by which small cells lie over the next, so that no seam shows. */

/** Names left of and below a grid. */
function grid(root: SVGElement, names: readonly string[], place: Place, titles: readonly [string, string] | null): Grid {
  const longest = Math.max(1, ...names.map((name) => name.length));
  const side = 8 + LETTER * longest + (titles ? 16 : 0);
  const under = (longest > 2 ? 8 + LETTER * longest : 18) + (titles ? 16 : 0);
  const size = Math.max(40, Math.min(place.width - side - 4, place.height - under - 4));
  const at = { left: side, top: 2, size, n: names.length };
  const cell = size / Math.max(names.length, 1);
  const step = Math.max(1, Math.ceil(names.length / NAMED), Math.ceil(12 / cell));
  const rows = svg("g", { class: "axis", "text-anchor": "end" });
  const columns = svg("g", { class: "axis", "text-anchor": longest > 2 ? "end" : "middle" });
  names.forEach((name, i) => {
    if (i % step) return;
    rows.append(svg("text", { x: px(side - 5), y: px(at.top + (i + 0.5) * cell), dy: ".32em" }, name));
    const x = px(side + (i + 0.5) * cell);
    columns.append(longest > 2
      ? svg("text", { transform: `translate(${x} ${px(at.top + size + 6)}) rotate(-90)`, dy: ".32em" }, name)
      : svg("text", { x, y: px(at.top + size + 13) }, name));
  });
  root.append(svg("rect", { class: "ground", x: px(side), y: px(at.top), width: px(size), height: px(size) }), rows, columns);
  if (titles) {
    root.append(svg("text", { class: "axis", x: px(side + size / 2), y: px(at.top + size + under - 3), "text-anchor": "middle" }, titles[0]),
      svg("text", { class: "axis", transform: `translate(10 ${px(at.top + size / 2)}) rotate(-90)`, "text-anchor": "middle" }, titles[1]));
  }
  return at;
}

/** The cell under the pointer, or the one the keys went to. */
function follow(host: HTMLElement, root: SVGElement, at: Grid, place: Place, tell: (row: number, column: number, x: number, y: number) => void): void {
  const cell = at.size / at.n;
  let [row, column] = [0, 0];
  const leave = (): void => {
    place.page.choices.point();
    place.page.tip.hide();
  };
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const scale = place.width / bounds.width;
    row = Math.floor(((event.clientY - bounds.top) * scale - at.top) / cell);
    column = Math.floor(((event.clientX - bounds.left) * scale - at.left) / cell);
    if (row < 0 || column < 0 || row >= at.n || column >= at.n) leave();
    else tell(row, column, event.clientX, event.clientY);
  };
  host.onpointerleave = leave;
  host.onblur = leave;
  host.onkeydown = (event) => {
    const step = ({ ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] } as const)[event.key as "ArrowUp"];
    if (!step) return;
    event.preventDefault();
    row = Math.max(0, Math.min(at.n - 1, row + step[0]));
    column = Math.max(0, Math.min(at.n - 1, column + step[1]));
    const bounds = root.getBoundingClientRect();
    const scale = bounds.width / place.width;
    tell(row, column, bounds.left + (at.left + (column + 1) * cell) * scale, bounds.top + (at.top + (row + 1) * cell) * scale);
  };
}

export const confusion: View<Confusion> = (host, data, place) => {
  const root = drawing(host, place);
  const full = Array.from({ length: data.n_classes }, (_, i) => place.page.classes[i] ?? String(i));
  const names = distinct(full, 14);
  const isMany = data.n_classes > PAIRED;
  const at = isMany
    ? { left: 2, top: 2, size: Math.min(0.42 * place.width, place.height - 20), n: data.n_classes }
    : grid(root, names, place, ["read as", "true class"]);
  if (isMany) {
    root.append(svg("rect", { class: "ground", x: px(at.left), y: px(at.top), width: px(at.size), height: px(at.size) }),
      svg("text", { class: "axis", x: px(at.left + at.size / 2), y: px(at.top + at.size + 14), "text-anchor": "middle" },
        `${data.n_classes} classes`));
  }
  const cell = at.size / at.n;
  const wide = Math.max(cell - (isMany ? 0 : 0.5), isMany ? 2.5 : 1.2);
  const cells = new Levels();
  const counts = new Map<number, number>();
  data.row.forEach((row, i) => {
    const column = data.column[i] ?? 0;
    counts.set(row * data.n_classes + column, i);
    cells.add(data.shade[i] ?? 0, at.left + column * cell, at.top + row * cell, wide, wide);
  });
  root.append(...cells.elements("cell mistake"));
  if (data.n_classes <= WRITTEN) {
    root.append(svg("g", { class: "counts", "text-anchor": "middle" }, ...[...data.row].map((row, i) => svg("text", {
      x: px(at.left + ((data.column[i] ?? 0) + 0.5) * cell), y: px(at.top + (row + 0.5) * cell), dy: ".32em",
      class: (data.shade[i] ?? 0) > DARK ? "on" : "off",
    }, String(data.count[i] ?? "")))));
  }
  const line = svg("rect", { class: "looked-at" });
  root.append(line);
  if (isMany) pairs(root, data, full, place);
  follow(host, root, at, place, (row, column, x, y) => {
    const i = counts.get(row * data.n_classes + column);
    place.page.choices.point({ class: row });
    place.page.tip.show([`${full[row] ?? ""} read as ${full[column] ?? ""}`, row === column ? "right" : i === undefined ? "never"
      : `${data.count[i] ?? 0} rows, ${percent(data.share[i] ?? NaN)} of the class`], x, y);
  });
  return place.page.choices.follow((now) => {
    line.style.display = now.class === null ? "none" : "";
    if (now.class === null) return;
    for (const [name, value] of [["x", at.left], ["y", at.top + now.class * cell], ["width", at.size], ["height", Math.max(cell, 2)]] as const) {
      line.setAttribute(name, px(value));
    }
  });
};

/** The pairs most often confused, as bars. */
function pairs(root: SVGElement, data: Confusion, full: readonly string[], place: Place): void {
  const left = 0.42 * place.width + 16;
  const names = distinct(full, Math.max(6, Math.floor((place.width - left - 10) / LETTER / 2 - 3)));
  const step = Math.min(26, (place.height - 4) / PAIRS);
  const order = [...data.count].map((_, i) => i).sort((a, b) => (data.count[b] ?? 0) - (data.count[a] ?? 0) || a - b).slice(0, PAIRS);
  const most = data.count[order[0] ?? -1] ?? 1;
  order.forEach((i, k) => {
    const [row, column] = [data.row[i] ?? 0, data.column[i] ?? 0];
    const pair = svg("g", { class: "pair" },
      svg("rect", { class: "cell mistake", "fill-opacity": 0.35, x: px(left), y: px(k * step + 2), height: px(step - 4),
        width: px(((data.count[i] ?? 0) / most) * (place.width - left)) }),
      svg("text", { x: px(left + 5), y: px((k + 0.5) * step), dy: ".32em" }, `${data.count[i] ?? 0}: ${names[row] ?? ""} → ${names[column] ?? ""}`));
    pair.addEventListener("pointerenter", () => { place.page.choices.point({ class: row }); });
    root.append(pair);
  });
}

export const similarity: View<Similarity> = (host, data, place) => {
  const root = drawing(host, place);
  const full = data.layers.map((layer) => place.page.layers[layer]?.label ?? "");
  const names = ofLayers(full, 16);
  const at = grid(root, names, place, null);
  const cell = at.size / at.n;
  const wide = at.n > NAMED ? cell + OVER : Math.max(cell - 0.5, 1);
  const cells = new Levels();
  let missing = "";
  const written = svg("g", { class: "counts", "text-anchor": "middle" });
  data.cka.forEach((value, i) => {
    const [row, column] = [Math.floor(i / at.n), i % at.n];
    const [x, y] = [at.left + column * cell, at.top + row * cell];
    if (Number.isNaN(value)) missing += `M${px(x + cell / 2)} ${px(y + cell / 2)}h0`;
    else cells.add(data.shade[i] ?? 0, x, y, wide, wide);
    if (at.n <= WRITTEN && Number.isFinite(value)) {
      written.append(svg("text", { x: px(x + cell / 2), y: px(y + cell / 2), dy: ".32em", class: (data.shade[i] ?? 0) > DARK ? "on" : "off" },
        value.toFixed(2).replace(/^0/, "")));
    }
  });
  const cross = svg("path", { class: "guide" });
  root.append(...cells.elements("cell"), svg("path", { class: "missing", d: missing }), written, cross);
  follow(host, root, at, place, (row, column, x, y) => {
    place.page.choices.point({ layer: data.layers[row] ?? null });
    const value = data.cka[row * at.n + column] ?? NaN;
    place.page.tip.show([`${full[row] ?? ""} and ${full[column] ?? ""}`, `CKA ${Number.isNaN(value) ? "—" : value.toFixed(2)}`], x, y);
  });
  return place.page.choices.follow(({ layer }) => {
    const i = layer === null ? -1 : data.layers.indexOf(layer);
    const mid = (i + 0.5) * cell;
    cross.setAttribute("d", i < 0 ? "" : `M${px(at.left)} ${px(at.top + mid)}h${px(at.size)}M${px(at.left + mid)} ${px(at.top)}v${px(at.size)}`);
  });
};

/** Every unit of a layer as one cell of a strip: how active it is, and which units are silent. */

import { px, svg } from "../dom.ts";
import { drawing } from "../frame.ts";
import { Levels } from "../levels.ts";
import type { View } from "../place.ts";
import { digits, percent } from "../write.ts";

export interface Units {
  /** Mean magnitude, the shade it is drawn with, shares of values that are zero and that are flat. */
  readonly score: Float32Array;
  readonly shade: Float32Array;
  readonly zero: Float32Array;
  readonly flat: Float32Array;
  /** Position in `words`, plus one; 0 for a unit without a verdict. */
  readonly verdict: Uint8Array;
  readonly words: readonly string[];
  readonly columns: number;
}

const CROWDED = 60;
const SILENT = 1;

export const units: View<Units> = (host, data, place) => {
  const root = drawing(host, place);
  const n = data.score.length;
  const wide = place.width / data.columns;
  const high = place.height / Math.ceil(n / data.columns);
  const gap = data.columns > CROWDED ? 0 : 1;
  const cells = new Levels();
  const silent = new Levels();
  const marks = new Map<number, string>();
  data.shade.forEach((shade, i) => {
    const x = (i % data.columns) * wide;
    const y = Math.floor(i / data.columns) * high;
    const verdict = data.verdict[i] ?? 0;
    (verdict === SILENT ? silent : cells).add(verdict === SILENT ? 0.9 : Math.max(shade, 0.05), x, y, wide - gap, high - gap);
    if (verdict && (gap || verdict === SILENT)) {
      marks.set(verdict, (marks.get(verdict) ?? "") + mark(verdict, x + (wide - gap) / 2, y + (high - gap) / 2, Math.min(wide, high) / 3.4));
    }
  });
  const frame = svg("rect", { class: "looked-at", width: px(wide), height: px(high) });
  frame.style.display = "none";
  root.append(...cells.elements("cell"), ...silent.elements("cell silent"),
    ...[...marks].map(([verdict, d]) => svg("path", { class: `judged v${verdict}`, d })), frame);
  const { choices, tip } = place.page;
  const end = choices.follow(({ layer, unit }) => {
    const isHere = layer === place.layer && unit !== null;
    frame.style.display = isHere ? "" : "none";
    if (!isHere) return;
    frame.setAttribute("x", px((unit % data.columns) * wide));
    frame.setAttribute("y", px(Math.floor(unit / data.columns) * high));
  });
  let index = -1;
  const look = (i: number, x: number, y: number): void => {
    index = i;
    if (i < 0 || i >= n) return leave();
    choices.point({ layer: place.layer, unit: i });
    const word = data.words[(data.verdict[i] ?? 0) - 1];
    tip.show([`unit ${i}${word ? `: ${word}` : ""}`, `activity ${digits(data.score[i] ?? NaN)}`,
      `zero ${percent(data.zero[i] ?? NaN)}, flat ${percent(data.flat[i] ?? NaN)}`], x, y);
  };
  const leave = (): void => {
    choices.point();
    tip.hide();
  };
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const column = Math.floor(((event.clientX - bounds.left) / bounds.width) * data.columns);
    const row = Math.floor((((event.clientY - bounds.top) / bounds.height) * place.height) / high);
    look(column < 0 || column >= data.columns ? -1 : row * data.columns + column, event.clientX, event.clientY);
  };
  host.onpointerleave = leave;
  host.onblur = leave;
  host.onclick = () => { if (index >= 0 && index < n) choices.choose({ layer: place.layer, unit: index }); };
  host.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: data.columns, ArrowUp: -data.columns }[event.key];
    if (event.key === "Enter" && index >= 0) choices.choose({ layer: place.layer, unit: index });
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(n - 1, index + step));
    const bounds = root.getBoundingClientRect();
    look(next, bounds.left + ((next % data.columns) + 1) * (bounds.width / data.columns), bounds.top + bounds.height / 2);
  };
  return end;
};

/** A cross for a silent unit, a square for a saturated, a triangle for a dormant one, a ring for one always on. */
function mark(verdict: number, x: number, y: number, r: number): string {
  const s = px(r);
  if (verdict === 1) return `M${px(x - r)} ${px(y - r)}l${px(2 * r)} ${px(2 * r)}m0 ${px(-2 * r)}l${px(-2 * r)} ${px(2 * r)}`;
  if (verdict === 2) return `M${px(x - r)} ${px(y - r)}h${px(2 * r)}v${px(2 * r)}h${px(-2 * r)}z`;
  if (verdict === 3) return `M${px(x - r)} ${px(y - r)}h${px(2 * r)}l${px(-r)} ${px(2 * r)}z`;
  return `M${px(x - r)} ${px(y)}a${s} ${s} 0 1 0 ${px(2 * r)} 0a${s} ${s} 0 1 0 ${px(-2 * r)} 0z`;
}

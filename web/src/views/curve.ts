/** What a straight cut reads from every layer, beside its baselines. */

import { course, edges, link } from "../course.ts";
import { px, svg } from "../dom.ts";
import { discs, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { apart, linear, odds, range } from "../scales.ts";
import { percent } from "../write.ts";

export interface Curve {
  readonly layers: readonly number[];
  readonly is_accuracy: boolean;
  readonly held_out: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly train: Float32Array;
  readonly twin: Float32Array;
  readonly control: Float32Array;
}

const LINES = [
  ["held-out", "held_out"], ["training rows", "train"], ["untrained twin", "twin"], ["permuted labels", "control"],
] as const;
const CROWD = 40;
const LINE = 14;

/** The lines run along the graph: from every layer to those it feeds. */
export const curve: View<Curve> = (host, data, place) => {
  const narrow = place.width < 480;
  const chart = course(host, data.layers, place, { left: 46, right: narrow ? 98 : 106, top: 10 });
  const { root, box, x } = chart;
  const shown = LINES.filter(([, name]) => data[name].some(Number.isFinite));
  const all = [...shown.flatMap(([, name]) => [...data[name]]), ...data.low];
  const least = range(all)[0];
  const y = data.is_accuracy ? odds(all, [box.bottom, box.top])
    : linear([Math.max(Math.min(Number.isFinite(least) ? least : 0, 0), -1), 1], [box.bottom, box.top]);
  leftAxis(root, box, y, data.is_accuracy ? (v) => `${Number((100 * v).toPrecision(4))} %` : String);
  const n = data.layers.length;
  const points = (values: Float32Array): [number, number][] => [...values].map((v, i) => [x(i), y(v)]);
  root.append(svg("path", { class: "band", d: ribbon(points(data.low), points(data.high)) }));
  const joined = edges(data.layers, place);
  for (const [, name] of shown.slice().reverse()) {
    const at = (i: number): [number, number] => [x(i), y(data[name][i] ?? NaN)];
    root.append(svg("path", { class: `line ${name}`, d: joined.map(([from, to]) => through([at(from), at(to)])).join("") }));
  }
  const bends = (i: number): boolean => place.page.layers[data.layers[i] ?? -1]?.bends ?? false;
  const dots = points(data.held_out);
  const radius = n <= CROWD ? 3.4 : 1.8;
  root.append(
    svg("path", { class: "dot filled", d: discs(dots.filter((_, i) => bends(i)), radius + 0.3) }),
    svg("path", { class: "dot open", d: discs(dots.filter((_, i) => !bends(i)), radius) }),
  );
  const ends = shown.map(([, name]) => y([...data[name]].reverse().find(Number.isFinite) ?? NaN));
  const places = apart(ends, LINE);
  const over = Math.max(0, Math.max(...places) + 4 - box.bottom) - Math.max(0, box.top - Math.min(...places));
  shown.forEach(([words, name], i) => {
    root.append(svg("text", { class: `end ${name}`, x: px(box.right + 8), y: px((places[i] ?? 0) - over), dy: ".32em" },
      words));
  });
  return link(host, chart, data.layers, place, (i) => shown.map(([words, name]) =>
    `${words} ${percent(data[name][i] ?? NaN)}` + (name === "held_out" && Number.isFinite(data.low[i])
      ? ` (${percent(data.low[i] ?? NaN)} to ${percent(data.high[i] ?? NaN)})` : "")));
};

/** A band between two lines, in pieces where one of them has no value. */
export function ribbon(low: readonly [number, number][], high: readonly [number, number][]): string {
  let out = "";
  let piece: number[] = [];
  const close = (): void => {
    const along = (side: readonly [number, number][]): [number, number][] => piece.flatMap((i) => side.slice(i, i + 1));
    if (piece.length) out += `${through([...along(high), ...along(low).reverse()])}z`;
    piece = [];
  };
  low.forEach(([, a], i) => {
    if (Number.isFinite(a) && Number.isFinite(high[i]?.[1])) piece.push(i);
    else close();
  });
  close();
  return out;
}

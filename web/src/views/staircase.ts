/** The debiased Fisher value as a staircase: an affine layer cannot climb it, an activation can. */

import { course, edges, link } from "../course.ts";
import { px, svg } from "../dom.ts";
import { leftAxis } from "../frame.ts";
import type { View } from "../place.ts";
import { linear, log, range } from "../scales.ts";
import { digits, ofTicks } from "../write.ts";

export interface Staircase {
  readonly layers: readonly number[];
  readonly fisher: Float32Array;
  readonly trace_ratio: Float32Array;
}

const WIDE = 20;

/** Treads and risers that end at an activation are coloured; a dashed line leads from a layer to one it feeds later. */
export const staircase: View<Staircase> = (host, data, place) => {
  const chart = course(host, data.layers, place);
  const { root, box, x } = chart;
  const positive = [...data.fisher].filter((v) => v > 0);
  const [least, greatest] = range(positive);
  const isWide = greatest > WIDE * least;
  const pixels: [number, number] = [box.bottom, box.top];
  const y = isWide ? log([least / 1.3, greatest * 1.3], pixels)
    : linear([Math.min(0, range(data.fisher)[0] || 0), 1.06 * (greatest || 1)], pixels);
  leftAxis(root, box, y, isWide ? ofTicks(y.ticks) : digits);
  const height = (i: number): number => {
    const value = data.fisher[i] ?? NaN;
    return isWide && value <= 0 ? box.bottom : y(value);
  };
  const half = x(0) - box.left;
  const paths = { tread: "", plain: "", leap: "" };
  const bends = (i: number): boolean => place.page.layers[data.layers[i] ?? -1]?.bends ?? false;
  data.layers.forEach((_, i) => {
    if (!Number.isFinite(height(i))) return;
    paths[bends(i) ? "tread" : "plain"] += `M${px(x(i) - half)} ${px(height(i))}h${px(2 * half)}`;
  });
  for (const [from, to] of edges(data.layers, place)) {
    const [a, b] = [height(from), height(to)];
    if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
    if (to === from + 1) paths[bends(to) ? "tread" : "plain"] += `M${px(x(to) - half)} ${px(a)}V${px(b)}`;
    else paths.leap += `M${px(x(from) + half)} ${px(a)}L${px(x(to) - half)} ${px(b)}`;
  }
  root.append(svg("path", { class: "leap", d: paths.leap }), svg("path", { class: "plain", d: paths.plain }),
    svg("path", { class: "tread", d: paths.tread }));
  return link(host, chart, data.layers, place, (i) => [
    `Fisher ${digits(data.fisher[i] ?? NaN)}`, `trace ratio ${digits(data.trace_ratio[i] ?? NaN)}`,
  ]);
};

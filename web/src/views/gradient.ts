/** The norm of the loss gradient at each layer, on a logarithmic axis. */

import { course, edges, link } from "../course.ts";
import { svg } from "../dom.ts";
import { discs, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { linear, log, range } from "../scales.ts";
import { digits, ofTicks } from "../write.ts";

export interface Gradient {
  readonly layers: readonly number[];
  readonly norm: Float32Array;
}

export const gradient: View<Gradient> = (host, data, place) => {
  const chart = course(host, data.layers, place);
  const { root, box, x } = chart;
  const [least, greatest] = range([...data.norm].filter((v) => v > 0));
  const hasAny = Number.isFinite(least);
  const y = hasAny ? log([least / 1.5, greatest * 1.5], [box.bottom, box.top]) : linear([0, 1], [box.bottom, box.top]);
  leftAxis(root, box, y, hasAny ? ofTicks(y.ticks) : digits);
  const at = (i: number): [number, number] => [x(i), (data.norm[i] ?? NaN) > 0 ? y(data.norm[i] ?? NaN) : NaN];
  root.append(
    svg("path", { class: "line held_out", d: edges(data.layers, place).map(([a, b]) => through([at(a), at(b)])).join("") }),
    svg("path", { class: "dot filled", d: discs([...data.norm].map((_, i) => at(i)), data.norm.length > 40 ? 1.8 : 3) }),
  );
  return link(host, chart, data.layers, place, (i) => [`gradient norm ${digits(data.norm[i] ?? NaN)}`]);
};

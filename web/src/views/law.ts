/** Spread within classes over that between them, with the line of He & Su over the activations. */

import { course, edges, link } from "../course.ts";
import { svg } from "../dom.ts";
import { discs, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { linear, log, range } from "../scales.ts";
import { digits, ofTicks } from "../write.ts";

export interface Law {
  readonly layers: readonly number[];
  readonly separation: Float32Array;
  /** Positions in the chart of the activations that the line is fitted over, and its value there. */
  readonly fitted: Int32Array;
  readonly line: Float32Array;
}

export const law: View<Law> = (host, data, place) => {
  const chart = course(host, data.layers, place);
  const { root, box, x } = chart;
  const values = [...data.separation];
  const [least, greatest] = range(values.filter((v) => v > 0));
  const hasAny = Number.isFinite(least);
  const y = hasAny ? log([least / 1.3, greatest * 1.3], [box.bottom, box.top]) : linear([0, 1], [box.bottom, box.top]);
  leftAxis(root, box, y, hasAny ? ofTicks(y.ticks) : digits);
  const at = (i: number): [number, number] => [x(i), (values[i] ?? NaN) > 0 ? y(values[i] ?? NaN) : NaN];
  const fitted = new Set(data.fitted);
  const all = values.map((_, i) => i);
  root.append(
    svg("path", { class: "trail", d: edges(data.layers, place).map(([a, b]) => through([at(a), at(b)])).join("") }),
    svg("path", { class: "dot quiet", d: discs(all.filter((i) => !fitted.has(i)).map(at), 2.6) }),
    svg("path", { class: "dot strong", d: discs(all.filter((i) => fitted.has(i)).map(at), 3) }),
    svg("path", { class: "fit", d: through([...data.line].map((v, i) => [x(data.fitted[i] ?? NaN), v > 0 ? y(v) : NaN])) }),
  );
  return link(host, chart, data.layers, place, (i) => [`tr(S_W S_B⁺) ${digits(values[i] ?? NaN)}`]);
};

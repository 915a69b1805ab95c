/** What the best linear reader reads off every layer, beside what it would read from labels that mean nothing. */

import { course, edges, link } from "../course.ts";
import { px, svg } from "../dom.ts";
import { discs, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { linear } from "../scales.ts";
import { percent } from "../write.ts";

export interface Probes {
  readonly layers: readonly number[];
  readonly accuracy: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly task: Float32Array;
  readonly capacity: Float32Array;
  readonly chance: number;
}

function marks(points: readonly [number, number][], shape: string): string {
  return points.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => `M${px(x)} ${px(y)}${shape}`).join("");
}

export const probes: View<Probes> = (host, data, place) => {
  const chart = course(host, data.layers, place);
  const { root, box, x } = chart;
  const y = linear([0, 1.02], [box.bottom, box.top], 5);
  leftAxis(root, box, y, (v) => `${Math.round(100 * v)} %`);
  const points = (values: Float32Array): [number, number][] => [...values].map((v, i) => [x(i), y(v)]);
  const whiskers = [...data.accuracy].map((v, i) => {
    const [low, high] = [data.low[i] ?? NaN, data.high[i] ?? NaN];
    return Number.isFinite(v + low + high)
      ? `M${px(x(i))} ${px(y(low))}V${px(y(high))}m-3 0h6M${px(x(i) - 3)} ${px(y(low))}h6` : "";
  });
  const line = edges(data.layers, place)
    .map(([a, b]) => through([[x(a), y(data.accuracy[a] ?? NaN)], [x(b), y(data.accuracy[b] ?? NaN)]]));
  root.append(
    svg("path", { class: "line control", d: `M${px(box.left)} ${px(y(data.chance))}H${px(box.right)}` }),
    svg("path", { class: "line capacity", d: through(points(data.capacity)) }),
    svg("path", { class: "mark capacity", d: marks(points(data.capacity), "m-3 -3h6v6h-6z") }),
    svg("path", { class: "line task", d: through(points(data.task)) }),
    svg("path", { class: "mark task", d: marks(points(data.task), "m0 -4l4 4l-4 4l-4 -4z") }),
    svg("path", { class: "whiskers", d: whiskers.join("") }),
    svg("path", { class: "line held_out", d: line.join("") }),
    svg("path", { class: "dot filled", d: discs(points(data.accuracy), 3) }),
  );
  return link(host, chart, data.layers, place, (i) => [
    `held-out rows ${percent(data.accuracy[i] ?? NaN)} (${percent(data.low[i] ?? NaN)} to ${percent(data.high[i] ?? NaN)})`,
    `control task ${percent(data.task[i] ?? NaN)}`, `shuffled labels, fitted rows ${percent(data.capacity[i] ?? NaN)}`,
    `chance ${percent(data.chance)}`,
  ]);
};

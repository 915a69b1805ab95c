/** Two studies side by side over the layers they share: both curves, and their differences with intervals. */

import { course, edges, link } from "../course.ts";
import { px, svg } from "../dom.ts";
import { discs, leftAxis, through } from "../frame.ts";
import { shorten } from "../names.ts";
import type { View } from "../place.ts";
import { apart, linear, odds, range } from "../scales.ts";
import { percent } from "../write.ts";

export interface Versus {
  readonly layers: readonly number[];
  readonly names: readonly [first: string, second: string];
  readonly is_accuracy: boolean;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export interface Differences {
  readonly layers: readonly number[];
  readonly change: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly is_beyond_noise: Uint8Array;
}

export const versus: View<Versus> = (host, data, place) => {
  const chart = course(host, data.layers, place, { left: 46, right: 110, top: 10 });
  const { root, box, x } = chart;
  const all = [...data.first, ...data.second];
  const least = range(all)[0];
  const y = data.is_accuracy ? odds(all, [box.bottom, box.top]) : linear([Math.min(least || 0, 0), 1], [box.bottom, box.top]);
  leftAxis(root, box, y, (v) => (data.is_accuracy ? `${Number((100 * v).toPrecision(4))} %` : String(v)));
  const sides = [["twin", data.first], ["held_out", data.second]] as const;
  const joined = edges(data.layers, place);
  for (const [kind, values] of sides) {
    const at = (i: number): [number, number] => [x(i), y(values[i] ?? NaN)];
    root.append(svg("path", { class: `line ${kind}`, d: joined.map(([a, b]) => through([at(a), at(b)])).join("") }),
      svg("path", { class: `dot ${kind}`, d: discs([...values].map((_, i) => at(i)), 3) }));
  }
  const ends = sides.map(([, values]) => y([...values].reverse().find(Number.isFinite) ?? NaN));
  const places = apart(ends, 14);
  sides.forEach(([kind], i) => {
    root.append(svg("text", { class: `end ${kind}`, x: px(box.right + 8), y: px(places[i] ?? 0), dy: ".32em" },
      shorten(data.names[i as 0 | 1], 14)));
  });
  return link(host, chart, data.layers, place, (i) =>
    [`${data.names[0]}: ${percent(data.first[i] ?? NaN)}`, `${data.names[1]}: ${percent(data.second[i] ?? NaN)}`]);
};

export const differences: View<Differences> = (host, data, place) => {
  const chart = course(host, data.layers, place, { left: 52, right: 10, top: 10 });
  const { root, box, x } = chart;
  const [low, high] = range([...data.low, ...data.high, ...data.change, -0.01, 0.01]);
  const pad = 0.06 * (high - low);
  const y = linear([low - pad, high + pad], [box.bottom, box.top]);
  const points = (share: number): string => `${share > 0 ? "+" : ""}${Number((100 * share).toPrecision(3))}`.replace("-", "−");
  leftAxis(root, box, y, points);
  const whiskers = [...data.low].map((v, i) => Number.isFinite(v)
    ? `M${px(x(i))} ${px(y(v))}V${px(y(data.high[i] ?? v))}m-3 0h6M${px(x(i) - 3)} ${px(y(v))}h6` : "").join("");
  const dots = (isBeyond: boolean): string => discs([...data.change].flatMap((v, i): [number, number][] =>
    Boolean(data.is_beyond_noise[i]) === isBeyond ? [[x(i), y(v)]] : []), 3.4);
  root.append(svg("path", { class: "rule", d: `M${px(box.left)} ${px(y(0))}H${px(box.right)}` }),
    svg("path", { class: "whiskers", d: whiskers }), svg("path", { class: "dot open", d: dots(false) }),
    svg("path", { class: "dot filled", d: dots(true) }));
  return link(host, chart, data.layers, place, (i) => [`${points(data.change[i] ?? NaN)} points`,
    `95 % interval ${points(data.low[i] ?? NaN)} to ${points(data.high[i] ?? NaN)}`,
    data.is_beyond_noise[i] ? "beyond noise, over all layers together" : "within noise"]);
};

/** Mean ± standard deviation of every unit within its least and greatest value, units sorted by mean. */

import { px, svg } from "../dom.ts";
import { bottomAxis, discs, drawing, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { linear, range } from "../scales.ts";
import { count, digits } from "../write.ts";
import { ribbon } from "./curve.ts";

export interface Moments {
  /** Place of each group of units, from 1 to the number of units. */
  readonly place: Float32Array;
  readonly mean: Float32Array;
  readonly std: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  /** The units by rising mean. */
  readonly order: Int32Array;
}

const SINGLE = 40;
const WHISKERED = 300;

export const moments: View<Moments> = (host, data, place) => {
  const root = drawing(host, place);
  const n = data.order.length;
  const box = { left: 46, right: place.width - 6, top: 8, bottom: place.height - 36 };
  const [low, high] = range([...data.low, ...data.high, 0]);
  const pad = 0.04 * (high - low || 1);
  const y = linear([low - pad, high + pad], [box.bottom, box.top]);
  const x = linear([0.5, n + 0.5], [box.left, box.right], Math.min(5, n));
  leftAxis(root, box, y, digits);
  bottomAxis(root, box, Object.assign((v: number) => x(v), { ticks: x.ticks.filter(Number.isInteger) }), count, "unit, by rising mean");
  const at = (values: readonly number[]): [number, number][] => values.map((v, i) => [x(data.place[i] ?? NaN), y(v)]);
  const mean = [...data.mean];
  const [less, more] = [-1, 1].map((sign) => at(mean.map((v, i) => v + sign * (data.std[i] ?? NaN)))) as [[number, number][], [number, number][]];
  const [least, greatest] = [at([...data.low]), at([...data.high])];
  root.append(svg("path", { class: "rule faint", d: `M${px(box.left)} ${px(y(0))}H${px(box.right)}` }));
  if (mean.length <= SINGLE) {
    const bars = (from: readonly [number, number][], to: readonly [number, number][]): string => from.map(([a, b], i) =>
      Number.isFinite(b) ? `M${px(a)} ${px(b)}V${px(to[i]?.[1] ?? b)}` : "").join("");
    root.append(svg("path", { class: "reach", d: bars(least, greatest) }), svg("path", { class: "spread", d: bars(less, more) }),
      svg("path", { class: "dot filled", d: discs(at(mean), 2.4) }));
  } else {
    root.append(svg("path", { class: "reach band", d: ribbon(least, greatest) }),
      svg("path", { class: "spread band", d: ribbon(less, more) }), svg("path", { class: "line held_out", d: through(at(mean)) }));
  }
  const guide = svg("path", { class: "guide" });
  root.prepend(guide);
  const rank = new Map([...data.order].map((unit, i) => [unit, i]));
  const { choices, tip } = place.page;
  const end = choices.follow(({ layer, unit }) => {
    const i = layer === place.layer && unit !== null ? rank.get(unit) : undefined;
    guide.setAttribute("d", i === undefined ? "" : `M${px(x(i + 1))} ${px(box.top)}V${px(box.bottom)}`);
  });
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const along = ((event.clientX - bounds.left) * place.width) / bounds.width;
    const i = Math.max(0, Math.min(n - 1, Math.floor(((along - box.left) * n) / (box.right - box.left))));
    const group = Math.min(mean.length - 1, Math.floor((i * mean.length) / n));
    const unit = data.order[i] ?? 0;
    choices.point({ layer: place.layer, unit });
    tip.show([n > WHISKERED ? `around unit ${unit}` : `unit ${unit}`,
      `mean ${digits(mean[group] ?? NaN)} ± ${digits(data.std[group] ?? NaN)}`,
      `from ${digits(data.low[group] ?? NaN)} to ${digits(data.high[group] ?? NaN)}`], event.clientX, event.clientY);
  };
  host.onpointerleave = () => {
    choices.point();
    tip.hide();
  };
  return end;
};

/** Bars of equal width in log magnitude, negative values to the left, exact zeros as one bar between. */

import { px, svg } from "../dom.ts";
import { drawing } from "../frame.ts";
import type { View } from "../place.ts";
import { digits, power } from "../write.ts";

export interface Histogram {
  /** log10 of the lower magnitude of each bar, over the least one shown; then its width in decades. */
  readonly left: Float32Array;
  readonly width: Float32Array;
  readonly share: Float32Array;
  readonly negative: Uint8Array;
  readonly inner: number;
  readonly near_zero: number;
  readonly zero: number;
}

/** Bars over an axis that runs from the most negative to the most positive magnitude, with a slot for zero. */
export function slots(data: Histogram): { gap: number; low: number; high: number; reach: (isNegative: boolean) => number } {
  const reach = (isNegative: boolean): number => data.left.reduce((most, left, i) =>
    Boolean(data.negative[i]) === isNegative ? Math.max(most, left + (data.width[i] ?? 0)) : most, 0);
  const widest = Math.max(reach(true), reach(false), 0);
  const gap = 0.12 * Math.max(widest || 1, 1);
  return { gap, low: -1.3 * gap - reach(true), high: 1.3 * gap + reach(false), reach };
}

export const histogram: View<Histogram> = (host, data, place) => {
  const root = drawing(host, place);
  const box = { left: 8, right: place.width - 8, top: 18, bottom: place.height - 26 };
  const { gap, low, high, reach } = slots(data);
  const x = (value: number): number => box.left + ((value - low) / (high - low)) * (box.right - box.left);
  const top = Math.max(0, ...data.share);
  const middle = data.zero + data.near_zero;
  const most = top ? Math.min(1.4 * top, Math.max(top, 1.2 * middle)) : middle || 1;
  const tall = (share: number): number => (Math.min(share, 1.15 * (top || share)) / (1.18 * (top ? Math.min(most, 1.15 * top) : most))) *
    (box.bottom - box.top);
  let bars = "";
  data.share.forEach((share, i) => {
    const [left, width] = [data.left[i] ?? 0, data.width[i] ?? 0];
    const from = data.negative[i] ? x(-gap - left - width) : x(gap + left);
    const wide = x(width) - x(0);
    bars += `M${px(from)} ${px(box.bottom)}v${px(-tall(share))}h${px(wide)}v${px(tall(share))}z`;
  });
  root.append(svg("path", { class: "bars", d: bars }));
  const isZero = data.zero > data.near_zero;
  if (middle) {
    const half = (x(gap) - x(0)) / 2;
    const height = tall(middle);
    const words = isZero ? `${digits(100 * data.zero)} % zero` : `${(100 * middle).toPrecision(2)} % near 0`;
    const room = 3.2 * words.length;
    const at = Math.max(box.left + room, Math.min(box.right - room, x(0)));
    root.append(svg("rect", { class: isZero ? "zero" : "near", x: px(x(0) - half), y: px(box.bottom - height), width: px(2 * half), height: px(height) }),
      svg("text", { class: "axis halo", x: px(at), y: px(box.bottom - height - 5), "text-anchor": "middle" }, words));
  }
  root.append(svg("path", { class: "rule", d: `M${px(box.left)} ${px(box.bottom)}H${px(box.right)}` }));
  const step = Math.max(1, Math.ceil(Math.max(reach(true), reach(false)) / 3));
  const first = Math.ceil(Math.log10(data.inner) - 1e-6);
  const axis = svg("g", { class: "axis", "text-anchor": "middle" }, svg("text", { x: px(x(0)), y: px(box.bottom + 16) }, "0"));
  for (let exponent = first; exponent <= first + Math.max(reach(true), reach(false)) + 1; exponent += step) {
    const at = gap + exponent - Math.log10(data.inner);
    for (const sign of [-1, 1]) {
      if (at > gap + reach(sign < 0) + 0.05 || x(Math.abs(at)) - x(0) < 18) continue;
      axis.append(svg("text", { x: px(x(sign * at)), y: px(box.bottom + 16) }, `${sign < 0 ? "−" : ""}${power(10 ** exponent)}`));
    }
  }
  root.append(axis);
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const value = low + (((event.clientX - bounds.left) * place.width) / bounds.width - box.left) / (box.right - box.left) * (high - low);
    const i = data.left.findIndex((left, k) => {
      const from = data.negative[k] ? -gap - left - (data.width[k] ?? 0) : gap + left;
      return value >= from && value < from + (data.width[k] ?? 0);
    });
    const sign = data.negative[i] ? "−" : "";
    const [left, width] = [data.left[i] ?? 0, data.width[i] ?? 0];
    const lines = i >= 0
      ? [`${sign}${digits(data.inner * 10 ** left)} to ${sign}${digits(data.inner * 10 ** (left + width))}`,
        `${digits(100 * (data.share[i] ?? 0))} % of the values`]
      : Math.abs(value) < gap ? [`${digits(100 * data.zero)} % exactly zero`, `${digits(100 * data.near_zero)} % below ${digits(data.inner)}`] : [];
    if (lines.length) place.page.tip.show(lines, event.clientX, event.clientY);
    else place.page.tip.hide();
  };
  host.onpointerleave = () => { place.page.tip.hide(); };
  return () => undefined;
};

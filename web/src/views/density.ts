/** Rows on the one axis that tells their classes apart: a density for each class, training filled, held-out drawn. */

import { px, svg } from "../dom.ts";
import { bottomAxis, drawing, through } from "../frame.ts";
import { distinct } from "../names.ts";
import { colour, type View } from "../place.ts";
import { byGroup, median, type Planes } from "../points.ts";
import { linear } from "../scales.ts";
import { digits } from "../write.ts";
import { follow } from "./planes.ts";

const BINS = 56;
const KERNEL = [0.06, 0.24, 0.4, 0.24, 0.06];

/** Shares of the rows in bins over a window, smoothed over five of them. */
export function density(values: readonly number[], low: number, high: number): number[] {
  const counts: number[] = new Array<number>(BINS).fill(0);
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor(((value - low) / (high - low || 1)) * BINS));
    if (bin >= 0) counts[bin] = (counts[bin] ?? 0) + 1 / values.length;
  }
  return counts.map((_, i) => KERNEL.reduce((sum, weight, k) => sum + weight * (counts[i + k - 2] ?? 0), 0));
}

export const densities: View<Planes> = (host, data, place) => {
  const root = drawing(host, place);
  const box = { left: 8, right: place.width - 8, top: 22, bottom: place.height - 36 };
  const [low, high] = [data.low[0], data.high[0]];
  const x = linear([low, high], [box.left, box.right], 5);
  const along = (rows: readonly number[]): number[] => rows.map((i) => data.points[2 * i] ?? NaN);
  const groups = [...byGroup(data)].sort(([a], [b]) => a - b).map(([group, { train, held_out }]) => ({
    group, middle: median(along([...train, ...held_out])),
    train: density(along(train), low, high), held_out: density(along(held_out), low, high),
  }));
  const top = Math.max(1e-9, ...groups.flatMap(({ train, held_out }) => [...train, ...held_out]));
  const y = linear([0, top], [box.bottom, box.top]);
  const drawn = (shares: readonly number[]): string =>
    through(shares.map((share, i) => [box.left + ((i + 0.5) * (box.right - box.left)) / BINS, y(share)]));
  const words = distinct(place.page.classes, 14);
  const curves = groups.map(({ group, middle, train, held_out }) => svg("g", { class: `class-${group} ${colour(group)}` },
    svg("path", { class: "fill", d: `${drawn(train)}V${px(box.bottom)}H${px(box.left)}z` }),
    svg("path", { class: "outline", d: held_out.some(Boolean) ? drawn(held_out) : "" }),
    svg("text", { class: "name", x: px(x(middle)), y: 14, "text-anchor": "middle" }, words[group] ?? String(group))));
  const mark = svg("path", { class: "ring" });
  root.append(...curves, mark);
  bottomAxis(root, box, x, digits, "spreads within a class");
  const at = data.points.map((value, i) => (i % 2 ? (box.top + box.bottom) / 2 : x(value)));
  follow(host, root, data, at, place);
  return place.page.choices.follow((now) => {
    curves.forEach((g, i) => g.classList.toggle("back", now.class !== null && groups[i]?.group !== now.class));
    const i = now.sample === null ? -1 : data.ids.indexOf(now.sample);
    const place_ = at[2 * i];
    mark.setAttribute("d", place_ === undefined ? "" : `M${px(place_)} ${px(box.top)}V${px(box.bottom)}`);
  });
};

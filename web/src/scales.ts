/**
 * Axes: plain ones with d3's ticks; accuracies by their errors, and logarithms with ticks under a decade, which d3 has not.
 * d3-scale itself brings colours and interpolation of anything, 20 kB that nothing here asks for.
 */

import { ticks as ticksOf } from "d3-array";

export interface Axis {
  /** Pixels of a value. */
  (value: number): number;
  readonly ticks: readonly number[];
}

const ACCURACIES = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1];
const ROOM = 0.075;

function between([from, to]: readonly [number, number], [start, end]: readonly [number, number]): (value: number) => number {
  const step = (end - start) / (to - from || 1);
  return (value) => start + (value - from) * step;
}

function finite(values: Iterable<number>): number[] {
  return [...values].filter(Number.isFinite);
}

/** Least and greatest of the finite values; NaN without any. */
export function range(values: Iterable<number>): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [NaN, NaN];
}

/**
 * Accuracies on an axis on which equal steps divide the errors by equal factors: .98 and .99 are as far apart as .5
 * and .75. Half the least error there is stands for none.
 */
export function odds(values: Iterable<number>, [bottom, top]: readonly [number, number]): Axis {
  const shown = finite(values);
  const errors = shown.map((value) => 1 - value).filter((error) => error > 0);
  const floor = errors.length ? Math.max(Math.min(...errors) / 2, 1e-5) : 1e-3;
  const low = shown.length ? Math.max(0, Math.min(...shown) - 0.03) : 0;
  const place = (value: number): number => -Math.log2(Math.max(1 - value, 0) + floor);
  const pixels = between([place(low), place(1)], [bottom, top]);
  const ticks = [...ACCURACIES.filter((tick) => low <= tick && tick <= 1 - 1.5 * floor), 1];
  const first = ticks[0] ?? 1;
  if (first > low + 0.1 && first !== 1) ticks.unshift(Math.round(10 * (low + 0.04)) / 10);
  const room = ROOM * (place(1) - place(low));
  const kept = [1];
  for (const tick of ticks.slice(0, -1).reverse()) {
    if (place(kept[kept.length - 1] ?? 1) - place(tick) >= room) kept.push(tick);
  }
  return Object.assign((value: number) => pixels(place(value)), { ticks: kept });
}

/** A plain axis. */
export function linear(domain: readonly [number, number], pixels: readonly [number, number], n = 4): Axis {
  return Object.assign(between(domain, pixels), { ticks: ticksOf(...domain, n) });
}

/** A logarithmic axis: powers of ten while there are three, else plain steps in between. */
export function log(domain: readonly [number, number], pixels: readonly [number, number], n = 5): Axis {
  const [low, high] = domain;
  const decades = Math.floor(Math.log10(high) + 1e-9) - Math.ceil(Math.log10(low) - 1e-9) + 1;
  let ticks: number[];
  if (decades >= 3) {
    const step = Math.max(1, Math.ceil(decades / n));
    const first = Math.ceil(Math.log10(low) - 1e-9);
    ticks = Array.from({ length: Math.ceil(decades / step) }, (_, i) => 10 ** (first + i * step));
  } else {
    const fine = [1, 2, 5].flatMap((lead) =>
      Array.from({ length: decades + 2 }, (_, i) => lead * 10 ** (Math.floor(Math.log10(low)) + i)),
    );
    ticks = fine.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)).sort((a, b) => a - b);
    if (ticks.length < 2) ticks = ticksOf(low, high, n).filter((tick) => tick > 0);
    if (ticks.length > n + 1) ticks = ticks.filter((_, i) => i % Math.ceil(ticks.length / n) === 0);
  }
  const scale = between([Math.log(low), Math.log(high)], pixels);
  return Object.assign((value: number) => scale(Math.log(value)), { ticks });
}

/** Heights near the wanted ones, no two nearer than `gap`: room for names at the ends of lines. */
export function apart(wanted: readonly number[], gap: number): number[] {
  const groups: number[][] = [];
  const centre = (group: readonly number[]): number =>
    group.reduce((sum, i) => sum + (wanted[i] ?? 0), 0) / group.length;
  for (const i of wanted.map((_, at) => at).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0))) {
    groups.push([i]);
    for (;;) {
      const last = groups[groups.length - 1];
      const before = groups[groups.length - 2];
      if (!last || !before || centre(last) - centre(before) >= (gap * (last.length + before.length)) / 2) break;
      groups.splice(-2, 2, [...before, ...last]);
    }
  }
  const out = wanted.map(() => 0);
  for (const group of groups) {
    const middle = centre(group);
    group.forEach((i, at) => { out[i] = middle + (at - (group.length - 1) / 2) * gap; });
  }
  return out;
}

/** Points of a flat view: where they stand, which is nearest, how each part is drawn. */

import { px } from "./dom.ts";
import type { Page } from "./place.ts";

export interface Planes {
  /** Row numbers. */
  readonly ids: Int32Array;
  /** Class of each row; of a regression, which fifth of the targets it is in. */
  readonly group: Int32Array;
  readonly held_out: Uint8Array;
  /** Across and up, one after the other. */
  readonly points: Float32Array;
  /** The window: all points but the farthest. */
  readonly low: readonly [number, number];
  readonly high: readonly [number, number];
  readonly is_classes: boolean;
}

const FIFTHS = ["least fifth", "second fifth", "middle fifth", "fourth fifth", "greatest fifth"];

/** Pixels of every point, NaN outside of the window. */
export function pixelsOf(data: Planes, width: number, height: number): Float32Array {
  const out = new Float32Array(data.points.length);
  const across = width / (data.high[0] - data.low[0] || 1);
  const up = height / (data.high[1] - data.low[1] || 1);
  for (let i = 0; i < out.length; i += 2) {
    const x = ((data.points[i] ?? NaN) - data.low[0]) * across;
    const y = height - ((data.points[i + 1] ?? NaN) - data.low[1]) * up;
    const isIn = x >= -2 && x <= width + 2 && y >= -2 && y <= height + 2;
    out[i] = isIn ? x : NaN;
    out[i + 1] = isIn ? y : NaN;
  }
  return out;
}

/** A path of dots (round ends of lines without length) or of diamonds. */
export function marks(at: Float32Array, rows: readonly number[], shape: "dots" | "diamonds"): string {
  const tail = shape === "dots" ? "h0" : "m0-3l3 3l-3 3l-3-3z";
  let out = "";
  for (const i of rows) {
    const x = at[2 * i] ?? NaN;
    if (!Number.isNaN(x)) out += `M${px(x)} ${px(at[2 * i + 1] ?? NaN)}${tail}`;
  }
  return out;
}

/** The point nearest to a place, at most `reach` pixels off; -1 for none. */
export function nearest(at: Float32Array, x: number, y: number, reach: number): number {
  let found = -1;
  let least = reach * reach;
  for (let i = 0; i < at.length; i += 2) {
    const distance = ((at[i] ?? NaN) - x) ** 2 + ((at[i + 1] ?? NaN) - y) ** 2;
    if (distance < least) {
      least = distance;
      found = i / 2;
    }
  }
  return found;
}

/** Positions of the rows of each group, in both parts. */
export function byGroup(data: Planes): Map<number, { train: number[]; held_out: number[] }> {
  const found = new Map<number, { train: number[]; held_out: number[] }>();
  data.group.forEach((group, i) => {
    const parts = found.get(group) ?? { train: [], held_out: [] };
    (data.held_out[i] ? parts.held_out : parts.train).push(i);
    found.set(group, parts);
  });
  return found;
}

/** What a tip says of a row. */
export function describe(data: Planes, i: number, page: Page): string[] {
  const group = data.group[i] ?? 0;
  const what = data.is_classes ? page.classes[group] ?? String(group) : FIFTHS[group] ?? "";
  return [`row ${data.ids[i] ?? ""}`, what, data.held_out[i] ? "held-out" : "training"];
}

/** Middle of numbers; NaN without any. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] ?? NaN : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}

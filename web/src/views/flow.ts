/** Rows on their way through a network: affine steps turn and stretch them, everything else moves them straight. */

import { px, svg } from "../dom.ts";
import type { View } from "../place.ts";
import { CONTROLS, reel } from "../reel.ts";
import { stage, type Rows } from "../stage.ts";

/** The affine map of a step, in the parts in which it is carried out: mirrored, turned, stretched. Its shift moves straight. */
export interface Turn {
  readonly angle: number;
  readonly is_mirrored: boolean;
  /** Two columns of a matrix, row by row: along them it stretches, */
  readonly axes: readonly [number, number, number, number];
  /** by these. */
  readonly sizes: readonly [number, number];
}

export interface Flow extends Rows {
  readonly names: readonly string[];
  /** Where rows are at every stage, across and up one after the other. */
  readonly points: readonly Float32Array[];
  /** Where the grid of the input plane is, line after line; empty without one. */
  readonly lines: readonly Float32Array[];
  /** Points on each line. */
  readonly along: number;
  /** The map of each step; null for one that bends. */
  readonly turns: readonly (Turn | null)[];
}

type Matrix = readonly [number, number, number, number];

const ROOM = 0.58;
/** Half the side of a window, as a share of the extent of its rows, */
const CLEAR = 1.05;
/** and what it is wider by where rows swing out on their way. */

function times([a, b, c, d]: Matrix, [e, f, g, h]: Matrix): Matrix {
  return [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
}

/** A part of the way from the identity to a map: turned, mirrored and stretched by that share. */
export function part({ angle, is_mirrored, axes, sizes }: Turn, share: number): Matrix {
  const [cos, sin] = [Math.cos(share * angle), Math.sin(share * angle)];
  const [a, b, c, d] = axes;
  const [p, q] = sizes.map((size) => 1 - share + share * size) as [number, number];
  const stretch = times(times(axes, [p, 0, 0, q]), [a, c, b, d]);
  const mirror: Matrix = [1, 0, 0, is_mirrored ? Math.cos(Math.PI * share) : 1];
  return times(times(stretch, [cos, -sin, sin, cos]), mirror);
}

/** Points on their way from one stage to the next. */
export function between(from: Float32Array, to: Float32Array, turn: Turn | null, share: number): Float32Array {
  if (!turn) return from.map((value, k) => (1 - share) * value + share * (to[k] ?? NaN));
  const [a, b, c, d] = part(turn, share);
  const [e, f, g, h] = part(turn, 1);
  const out = new Float32Array(from.length);
  for (let k = 0; k < from.length; k += 2) {
    const [x, y] = [from[k] ?? NaN, from[k + 1] ?? NaN];
    out[k] = a * x + b * y + share * ((to[k] ?? NaN) - e * x - f * y);
    out[k + 1] = c * x + d * y + share * ((to[k + 1] ?? NaN) - g * x - h * y);
  }
  return out;
}

interface Window {
  readonly middle: readonly [number, number];
  readonly reach: number;
}

/** A square window around rows. */
function around(points: Float32Array): Window {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let k = 0; k < points.length; k += 2) {
    const [x, y] = [points[k] ?? NaN, points[k + 1] ?? NaN];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < low) low = y;
    if (y > high) high = y;
  }
  return { middle: [(left + right) / 2, (low + high) / 2], reach: ROOM * Math.max(right - left, high - low, 1e-3) };
}

export const flow: View<Flow> = (host, data, place) => {
  const { width } = place;
  const height = place.height - CONTROLS;
  const now = new Float32Array(2 * data.ids.length);
  const rows = stage(host, data, now, { ...place, height });
  const grid = svg("path", { class: "grid" });
  rows.behind.append(grid);
  const windows = data.points.map(around);
  const last = data.points.length - 1;
  const { controls, stop } = reel({
    n: data.points.length,
    words: (moment) => data.names[moment] ?? "",
    draw(at): void {
      const i = Math.min(Math.floor(at), Math.max(0, last - 1));
      const share = at - i;
      const moved = (stages: readonly Float32Array[]): Float32Array => {
        const from = stages[i] ?? new Float32Array();
        return between(from, stages[Math.min(i + 1, last)] ?? from, data.turns[i] ?? null, share);
      };
      const points = moved(data.points);
      const [start, end] = [windows[i], windows[Math.min(i + 1, last)]];
      if (!start || !end) return;
      const middle = [0, 1].map((k) => (1 - share) * (start.middle[k] ?? 0) + share * (end.middle[k] ?? 0));
      let reach = (1 - share) * start.reach + share * end.reach;
      points.forEach((value, k) => { reach = Math.max(reach, CLEAR * Math.abs(value - (middle[k % 2] ?? 0))); });
      const pixel = (value: number, k: number): number => {
        const shown = (value - (middle[k % 2] ?? 0)) / reach;
        return k % 2 ? (height * (1 - shown)) / 2 : (width * (1 + shown)) / 2;
      };
      points.forEach((value, k) => { now[k] = pixel(value, k); });
      grid.setAttribute("d", outline(moved(data.lines), data.along, pixel));
      rows.draw();
    },
  });
  host.replaceChildren(rows.element, controls);
  return () => {
    stop();
    rows.end();
  };
};

/** The lines of the grid as one path. */
function outline(lines: Float32Array, along: number, pixel: (value: number, k: number) => number): string {
  let out = "";
  for (let k = 0; k < lines.length; k += 2) {
    const begins = k % (2 * along) === 0;
    out += `${begins ? "M" : "L"}${px(pixel(lines[k] ?? NaN, k))} ${px(pixel(lines[k + 1] ?? NaN, k + 1))}`;
  }
  return out;
}

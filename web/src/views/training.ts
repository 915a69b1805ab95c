/** The plane of two units while a network is trained: its rows, and what the output calls each place, step by step. */

import { px, svg } from "../dom.ts";
import { colour, type View } from "../place.ts";
import { CONTROLS, reel } from "../reel.ts";
import { stage, type Rows } from "../stage.ts";
import { count, percent } from "../write.ts";

export interface Training extends Rows {
  /** After how many steps each moment was kept. */
  readonly steps: readonly number[];
  /** Where rows are at every moment, across and up one after the other. */
  readonly points: readonly Float32Array[];
  /** The window of every moment: left, right, low, high. */
  readonly windows: readonly (readonly number[])[];
  /** The score of every class at every moment: two weights and a bias, class after class; none where no lines are drawn. */
  readonly scores: readonly Float32Array[];
  /** Share of the rows that are given their class at every moment; none where no lines are drawn. */
  readonly right: readonly number[];
}

const SECONDS = 0.2;
/** Of one moment, when it plays. */

type Point = readonly [x: number, y: number];

/** A convex outline without what lies where `a x + b y + c` is below 0. */
export function cut(outline: readonly Point[], a: number, b: number, c: number): Point[] {
  return outline.flatMap((from, i) => {
    const to = outline[(i + 1) % outline.length] ?? from;
    const [here, there] = [from, to].map(([x, y]) => a * x + b * y + c) as [number, number];
    const kept: Point[] = here >= 0 ? [from] : [];
    if (here >= 0 === there >= 0) return kept;
    const share = here / (here - there);
    return [...kept, [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]];
  });
}

/** Where in a window each class has the greatest score, as an outline. */
export function regions(scores: Float32Array, [left = 0, right = 1, low = 0, high = 1]: readonly number[]): Point[][] {
  const n = scores.length / 3;
  const of = (k: number, i: number): number => scores[3 * k + i] ?? NaN;
  return Array.from({ length: n }, (_, k) => {
    let outline: Point[] = [[left, low], [right, low], [right, high], [left, high]];
    for (let j = 0; j < n && outline.length; j++) {
      if (j !== k) outline = cut(outline, of(k, 0) - of(j, 0), of(k, 1) - of(j, 1), of(k, 2) - of(j, 2));
    }
    return outline;
  });
}

export const training: View<Training> = (host, data, place) => {
  const { width } = place;
  const height = place.height - CONTROLS;
  const now = new Float32Array(2 * data.ids.length);
  const rows = stage(host, data, now, { ...place, height });
  const tints = Array.from({ length: (data.scores[0]?.length ?? 0) / 3 }, (_, k) => svg("path", { class: `tint ${colour(k)}` }));
  rows.behind.append(...tints);
  const last = data.points.length - 1;
  const { controls, stop } = reel({
    n: data.points.length,
    what: "Step",
    seconds: SECONDS,
    words(moment): string {
      const share = data.right[moment];
      return `step ${count(data.steps[moment] ?? 0)}${share === undefined ? "" : `, ${percent(share)}`}`;
    },
    draw(at): void {
      const i = Math.min(Math.floor(at), last);
      const share = at - i;
      const mixed = (moments: readonly ArrayLike<number>[]): Float32Array => {
        const [from, to] = [moments[i] ?? [], moments[Math.min(i + 1, last)] ?? []];
        return Float32Array.from(from, (value, k) => (1 - share) * value + share * (to[k] ?? NaN));
      };
      const window = [...mixed(data.windows)];
      const [left = 0, right = 1, low = 0, high = 1] = window;
      const pixel = (value: number, k: number): number =>
        k % 2 ? height * (1 - (value - low) / (high - low)) : (width * (value - left)) / (right - left);
      mixed(data.points).forEach((value, k) => { now[k] = pixel(value, k); });
      regions(mixed(data.scores), window).forEach((outline, k) => {
        const corners = outline.map(([x, y]) => `${px(pixel(x, 0))} ${px(pixel(y, 1))}`);
        tints[k]?.setAttribute("d", corners.length ? `M${corners.join("L")}Z` : "");
      });
      rows.draw();
    },
  });
  host.replaceChildren(rows.element, controls);
  return () => {
    stop();
    rows.end();
  };
};

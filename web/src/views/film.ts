/** The plane of every layer as one film: the same rows, moving from layer to layer. */

import type { View } from "../place.ts";
import { pixelsOf, type Planes } from "../points.ts";
import { CONTROLS, reel } from "../reel.ts";
import { stage } from "../stage.ts";

export interface Film {
  /** Figures of the page, one for each layer. */
  readonly frames: readonly number[];
}

/** Where a frame's rows stand in a square from -1 to 1, rows of the first frame in their order. */
function frame(data: Planes, ids: Int32Array): Float32Array {
  const row = new Map([...data.ids].map((id, i) => [id, i]));
  const at = pixelsOf(data, 2, 2);
  const out = new Float32Array(2 * ids.length).fill(NaN);
  ids.forEach((id, i) => {
    const from = row.get(id);
    if (from === undefined) return;
    out[2 * i] = (at[2 * from] ?? NaN) - 1;
    out[2 * i + 1] = (at[2 * from + 1] ?? NaN) - 1;
  });
  return out;
}

/** `to`, turned or flipped as a whole so that its points lie as near as can be to `from` (Procrustes). */
export function turn(from: Float32Array, to: Float32Array): Float32Array {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < to.length; i += 2) {
    const [x, y, u, v] = [from[i] ?? NaN, from[i + 1] ?? NaN, to[i] ?? NaN, to[i + 1] ?? NaN];
    if (Number.isNaN(x + y + u + v)) continue;
    a += x * u; b += x * v; c += y * u; d += y * v;
  }
  const rotation = [a + d, c - b] as const;
  const mirror = [a - d, b + c] as const;
  const isMirrored = Math.hypot(...mirror) > Math.hypot(...rotation);
  const [cos, sin] = isMirrored ? mirror : rotation;
  const size = Math.hypot(cos, sin) || 1;
  const sign = isMirrored ? -1 : 1;
  return to.map((_, i) => {
    const at = i - (i % 2);
    const [u, v] = [to[at] ?? NaN, sign * (to[at + 1] ?? NaN)];
    return (i % 2 ? sin * u + cos * v : cos * u - sin * v) / size;
  });
}

export const film: View<Film> = (host, { frames }, place) => {
  const { page, width } = place;
  const height = place.height - CONTROLS;
  const all = frames.flatMap((index) => page.figures[index] ?? []).map((figure) => page.read<Planes>(figure));
  const first = all[0];
  if (!first) return () => undefined;
  const steps: Float32Array[] = [];
  for (const data of all) {
    const next = frame(data, first.ids);
    steps.push(steps.length ? turn(steps[steps.length - 1] ?? next, next) : next);
  }
  const layers = frames.map((index) => page.figures[index]?.layer ?? -1);
  const now = new Float32Array(2 * first.ids.length);
  const rows = stage(host, first, now, { ...place, height });
  const { controls, stop } = reel({
    n: steps.length,
    words: (moment) => page.layers[layers[moment] ?? -1]?.label ?? "",
    draw(at): void {
      const i = Math.min(Math.floor(at), steps.length - 1);
      const [from, to] = [steps[i], steps[Math.min(i + 1, steps.length - 1)]];
      for (let k = 0; k < now.length; k++) {
        const value = (1 - at + i) * (from?.[k] ?? NaN) + (at - i) * (to?.[k] ?? NaN);
        now[k] = ((0.98 * value + 1) * (k % 2 ? height : width)) / 2;
      }
      rows.draw();
    },
  });
  host.replaceChildren(rows.element, controls);
  return () => {
    stop();
    rows.end();
  };
};

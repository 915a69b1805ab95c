/** A drawing with its axes. */

import { px, svg } from "./dom.ts";
import type { Axis } from "./scales.ts";

/** Where the axes stand, in pixels. */
export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** An empty drawing that fills its host; the host says what it shows. */
export function drawing(host: HTMLElement, { width, height }: { width: number; height: number }): SVGSVGElement {
  const root = svg("svg", { viewBox: `0 0 ${px(width)} ${px(height)}`, "aria-hidden": "true", focusable: "false" });
  host.replaceChildren(root);
  return root;
}

/** Ticks on the left, with hair lines across. */
export function leftAxis(root: SVGElement, box: Box, axis: Axis, write: (value: number) => string): void {
  const lines = axis.ticks.map((tick) => `M${px(box.left)} ${px(axis(tick))}H${px(box.right)}`).join("");
  root.append(svg("path", { class: "grid", d: lines }), svg("g", { class: "axis", "text-anchor": "end" },
    ...axis.ticks.map((tick) => svg("text", { x: px(box.left - 6), y: px(axis(tick)), dy: ".32em" }, write(tick)))));
}

/** Ticks below, with a line; words under them when given. */
export function bottomAxis(root: SVGElement, box: Box, axis: Axis, write: (value: number) => string, words = ""): void {
  const marks = axis.ticks.map((tick) => `M${px(axis(tick))} ${px(box.bottom)}v4`).join("");
  root.append(
    svg("path", { class: "rule", d: `M${px(box.left)} ${px(box.bottom)}H${px(box.right)}${marks}` }),
    svg("g", { class: "axis", "text-anchor": "middle" },
      ...axis.ticks.map((tick) => svg("text", { x: px(axis(tick)), y: px(box.bottom + 15) }, write(tick)))),
  );
  if (words) {
    root.append(svg("text", { class: "axis", x: px((box.left + box.right) / 2), y: px(box.bottom + 30),
      "text-anchor": "middle" }, words));
  }
}

/** A path through points, broken where one has no value. */
export function through(points: Iterable<readonly [x: number, y: number]>): string {
  let out = "";
  let isDown = false;
  for (const [x, y] of points) {
    const isThere = Number.isFinite(x) && Number.isFinite(y);
    if (isThere) out += `${isDown ? "L" : "M"}${px(x)} ${px(y)}`;
    isDown = isThere;
  }
  return out;
}

/** One path with a disc at every point. */
export function discs(points: Iterable<readonly [x: number, y: number]>, radius: number): string {
  let out = "";
  const r = px(radius);
  for (const [x, y] of points) {
    if (Number.isFinite(x) && Number.isFinite(y)) {
      out += `M${px(x - radius)} ${px(y)}a${r} ${r} 0 1 0 ${px(2 * radius)} 0a${r} ${r} 0 1 0 ${px(-2 * radius)} 0z`;
    }
  }
  return out;
}

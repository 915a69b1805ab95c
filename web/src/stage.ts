/** Rows on a stage, where they can be moved: drawn by group, the one that is looked at with a ring. */

import { html, svg } from "./dom.ts";
import { colour, type Place } from "./place.ts";
import { byGroup, marks, type Planes } from "./points.ts";
import { follow } from "./views/planes.ts";

export type Rows = Pick<Planes, "ids" | "group" | "held_out" | "is_classes">;

export interface Stage {
  readonly element: HTMLElement;
  /** What lies behind the rows is put in here. */
  readonly behind: SVGGElement;
  /** Draw the rows where `now` has them. */
  readonly draw: () => void;
  readonly end: () => void;
}

/**
 * A stage of the rows.
 *
 * `now` holds where they stand, in pixels, across and up one after the other; whoever moves them writes there.
 */
export function stage(host: HTMLElement, rows: Rows, now: Float32Array, place: Place): Stage {
  const { page } = place;
  const element = html("div", { class: "stage", tabindex: 0, role: "img", "aria-label": host.dataset["label"] ?? "" });
  const root = svg("svg", { viewBox: `0 0 ${place.width} ${place.height}`, "aria-hidden": "true" });
  const data: Planes = { ...rows, points: now, low: [0, 0], high: [place.width, place.height] };
  const groups = [...byGroup(data)];
  const paths = groups.map(() => [svg("path", { class: "dots" }), svg("path", { class: "diamonds" })] as const);
  const drawn = paths.map((pair, g) => {
    const group = groups[g]?.[0] ?? 0;
    return svg("g", { class: rows.is_classes ? colour(group) : `fifth-${group}` }, ...pair);
  });
  const ring = svg("circle", { class: "ring", r: 6, cx: -20, cy: -20 });
  const behind = svg("g", {});
  root.append(behind, ...drawn, ring);
  element.append(root);
  const mark = (sample: number | null): void => {
    const i = sample === null ? -1 : rows.ids.indexOf(sample);
    ring.setAttribute("cx", String(now[2 * i] || -20));
    ring.setAttribute("cy", String(now[2 * i + 1] || -20));
  };
  follow(element, root, data, now, place);
  const end = page.choices.follow((choice) => {
    drawn.forEach((g, i) => g.classList.toggle("back", rows.is_classes && choice.class !== null && groups[i]?.[0] !== choice.class));
    mark(choice.sample);
  });
  const draw = (): void => {
    paths.forEach(([dots, diamonds], g) => {
      dots.setAttribute("d", marks(now, groups[g]?.[1].train ?? [], "dots"));
      diamonds.setAttribute("d", marks(now, groups[g]?.[1].held_out ?? [], "diamonds"));
    });
    mark(page.choices.now.sample);
  };
  return { element, behind, draw, end };
}

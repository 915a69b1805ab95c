/** Rows in a plane: dots for training, open diamonds for held-out rows, names at the middles of the classes. */

import { px, svg } from "../dom.ts";
import { drawing } from "../frame.ts";
import { distinct } from "../names.ts";
import { colour, type Place, type View } from "../place.ts";
import { byGroup, marks, median, nearest, pixelsOf, describe, type Planes } from "../points.ts";

const GROUPED = 40;
/** Up to this many classes are groups of their own, and have a name where there is room. */
const ALL_NAMED = 16;
const LETTER = 3.6;
/** Half the width of a letter of a name. */
const REACH = 14;
const STEPS = [0, 0.05, -0.05, 0.1, -0.1];

export const planes: View<Planes> = (host, data, place) => {
  const root = drawing(host, place);
  const at = pixelsOf(data, place.width, place.height);
  const groups = byGroup(data);
  const own = data.is_classes && groups.size <= GROUPED;
  const layers = [...groups].sort(([a], [b]) => a - b).map(([group, { train, held_out }]) => [group, svg("g", {
    class: data.is_classes ? `class-${group} ${colour(group)}` : `fifth-${group}`,
  },
    svg("path", { class: "dots", d: marks(at, train, "dots") }),
    svg("path", { class: "diamonds", d: marks(at, held_out, "diamonds") }))] as const);
  const merged = own || !data.is_classes ? layers.map(([, g]) => g) : byColour(at, groups);
  const front = svg("g", { class: "front" });
  const ring = svg("circle", { class: "ring", r: 6 });
  ring.style.display = "none";
  root.append(...merged, front, ...(own ? names(at, groups, place) : []), ring);
  const end = place.page.choices.follow((now) => {
    if (own) for (const [group, g] of layers) g.classList.toggle("back", now.class !== null && now.class !== group);
    else if (data.is_classes) {
      for (const g of merged) g.classList.toggle("back", now.class !== null);
      const parts = now.class === null ? undefined : groups.get(now.class);
      front.replaceChildren(...(parts ? [svg("path", { class: "dots", d: marks(at, parts.train, "dots") }),
        svg("path", { class: "diamonds", d: marks(at, parts.held_out, "diamonds") }),
        ...names(at, new Map([[now.class ?? 0, parts]]), place)] : []));
      front.setAttribute("class", `front ${colour(now.class ?? 0)}`);
    }
    const i = now.sample === null ? -1 : data.ids.indexOf(now.sample);
    const x = at[2 * i] ?? NaN;
    ring.style.display = Number.isNaN(x) ? "none" : "";
    if (!Number.isNaN(x)) {
      ring.setAttribute("cx", px(x));
      ring.setAttribute("cy", px(at[2 * i + 1] ?? NaN));
    }
  });
  follow(host, root, data, at, place);
  return end;
};

/** With many classes one path for each colour, so that a page of them stays light. */
function byColour(at: Float32Array, groups: ReturnType<typeof byGroup>): SVGElement[] {
  const found = new Map<string, { train: number[]; held_out: number[] }>();
  for (const [group, { train, held_out }] of groups) {
    const parts = found.get(colour(group)) ?? { train: [], held_out: [] };
    parts.train.push(...train);
    parts.held_out.push(...held_out);
    found.set(colour(group), parts);
  }
  return [...found].map(([kind, { train, held_out }]) => svg("g", { class: kind },
    svg("path", { class: "dots", d: marks(at, train, "dots") }),
    svg("path", { class: "diamonds", d: marks(at, held_out, "diamonds") })));
}

/** Class names at the medians, moved up or down to a free place; left out where a crowd has none. */
function names(at: Float32Array, groups: ReturnType<typeof byGroup>, place: Place): SVGElement[] {
  const words = distinct(place.page.classes, 12);
  const taken: [number, number, number][] = [];
  const biggest = [...groups].sort(([, a], [, b]) => b.train.length + b.held_out.length - a.train.length - a.held_out.length);
  return biggest.flatMap(([group, { train, held_out }]) => {
    const rows = [...train, ...held_out];
    const word = words[group] ?? String(group);
    const reach = LETTER * word.length + 3;
    const x = Math.max(reach, Math.min(place.width - reach, median(rows.map((i) => at[2 * i] ?? NaN))));
    const y = Math.max(8, Math.min(place.height - 8, median(rows.map((i) => at[2 * i + 1] ?? NaN))));
    const step = STEPS.map((share) => share * place.height)
      .find((up) => !taken.some(([u, v, r]) => Math.abs(x - u) < reach + r && Math.abs(y + up - v) < 13));
    if (Number.isNaN(x) || (step === undefined && groups.size > ALL_NAMED)) return [];
    taken.push([x, y + (step ?? 0), reach]);
    return [svg("text", { class: "name", x: px(x), y: px(y + (step ?? 0)), dy: ".32em", "text-anchor": "middle" }, word)];
  });
}

/** The row under the pointer, or under the keys, lights up in every view. */
export function follow(host: HTMLElement, root: SVGElement, data: Planes, at: Float32Array, place: Place): void {
  const { choices, tip } = place.page;
  let index = -1;
  const look = (i: number, x: number, y: number): void => {
    index = i;
    const id = i < 0 ? undefined : data.ids[i];
    if (id === undefined) return leave();
    choices.point({ sample: id });
    tip.show(describe(data, i, place.page), x, y);
  };
  const leave = (): void => {
    choices.point();
    tip.hide();
  };
  const inside = (event: PointerEvent | MouseEvent): number => {
    const bounds = root.getBoundingClientRect();
    const scale = place.width / bounds.width;
    return nearest(at, (event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale, REACH);
  };
  host.onpointermove = (event) => { look(inside(event), event.clientX, event.clientY); };
  host.onpointerleave = leave;
  host.onblur = leave;
  host.onclick = (event) => {
    const id = data.ids[inside(event)];
    if (id !== undefined) choices.choose({ sample: id });
  };
  host.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const id = data.ids[index];
    if (event.key === "Enter" && id !== undefined) choices.choose({ sample: id });
    if (step === undefined) return;
    event.preventDefault();
    const next = (index + step + data.ids.length) % data.ids.length;
    const bounds = root.getBoundingClientRect();
    const scale = bounds.width / place.width;
    look(next, bounds.left + (at[2 * next] || 0) * scale, bounds.top + (at[2 * next + 1] || 0) * scale);
  };
}

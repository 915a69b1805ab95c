/** What is said of the window and of one region, beside the map. */

import { html } from "../dom.ts";
import { colour } from "../place.ts";
import { count, percent } from "../write.ts";
import { states, type Frame, type Regions } from "./data.ts";
import { coordinate } from "./window.ts";

const SHOWN = 512;
/** Units of a layer that have a square. */

function list(rows: readonly (readonly [string, string])[]): HTMLElement[] {
  return rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
}

export function facts(frame: Frame): HTMLElement[] {
  return list(frame.carried.facts);
}

export function classes(frame: Frame, data: Regions): HTMLElement[] {
  const shares = frame.carried.class_areas ?? [];
  const shown = shares.flatMap((share, k) => share > 0 ? [html("li", {}, html("i", { class: colour(k) }),
    html("span", {}, data.class_names[k] ?? `class ${k}`), html("span", {}, `${percent(share)} of the window`))] : []);
  const n = shares.length - shown.length;
  return n ? [...shown, html("li", { class: "quiet" }, `${count(n)} of ${count(shares.length)} classes have no part of it`)] : shown;
}

/** The place of a region, its map and its pattern. */
export function region(frame: Frame, face: number, data: Regions): HTMLElement[] {
  const kind = frame.kind?.[face];
  const rows: [string, string][] = [
    ["region", `${count(face)} of ${count(frame.n)}`], ["area", coordinate(frame.area[face] ?? NaN)],
    ["sides", String((frame.ptr[face + 1] ?? 0) - (frame.ptr[face] ?? 0))],
  ];
  if (kind !== undefined) rows.push(["class", kind < 0 ? "the boundary runs through" : data.class_names[kind] ?? String(kind)]);
  return [html("dl", {}, ...list(rows)), ...map(frame, face, data), html("h3", {}, "Activation pattern"), ...pattern(frame, face, data)];
}

function map(frame: Frame, face: number, data: Regions): HTMLElement[] {
  const { maps } = frame;
  if (!maps) return [];
  const names = ["output", ...data.axes, "constant"];
  const rows = Array.from({ length: data.n_maps }, (_, k) => html("tr", {},
    html("th", { scope: "row" }, data.n_maps === 1 ? "logit" : data.class_names[k] ?? String(k)),
    ...[0, 1, 2].map((c) => html("td", {}, coordinate(maps[(face * data.n_maps + k) * 3 + c] ?? NaN)))));
  return [html("h3", {}, "Affine map on it"),
    html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Affine map of the region" },
      html("table", {}, html("thead", {}, html("tr", {}, ...names.map((name) => html("th", { scope: "col" }, name)))),
        html("tbody", {}, ...rows)))];
}

function pattern(frame: Frame, face: number, data: Regions): HTMLElement[] {
  if (!frame.bits) return [html("p", { class: "quiet" }, "Left out: too many regions to carry every pattern in one page.")];
  return data.layers.map((layer) => {
    const found = states(frame, layer, face, data.n_bytes);
    const squares = found.slice(0, SHOWN).map((state, unit) => html("b", {
      class: state === 0 ? "" : state === layer.n_rows ? "on" : "mid", title: `${layer.name}[${unit}]: ${state}`,
    }));
    return html("div", { class: "units" }, `${layer.name}: ${found.filter(Boolean).length} of ${layer.n_units} units past a kink`,
      html("div", { "aria-hidden": "true" }, ...squares));
  });
}

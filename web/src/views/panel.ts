/** One number of a run over its steps: the layers that moved most in colour, the others grey, what happened as marks. */

import { html, px, svg } from "../dom.ts";
import { bottomAxis, drawing, leftAxis, type Box } from "../frame.ts";
import type { Choices } from "../choice.ts";
import type { Moment } from "../moment.ts";
import { linear, log, range, type Axis } from "../scales.ts";
import type { Tip } from "../tip.ts";
import { count, digits, ofTicks, percent } from "../write.ts";

export interface Curve {
  /** Position of its layer; -1 for the network. */
  readonly layer: number;
  readonly values: readonly (number | null)[];
}

export interface Panel {
  readonly name: string;
  readonly title: string;
  readonly meaning: string;
  readonly log: boolean;
  readonly share: boolean;
  readonly curves: readonly Curve[];
  /** Positions of the curves in colour. */
  readonly moved: readonly number[];
}

export interface Mark {
  readonly step: number;
  readonly kind: string;
  readonly text: string;
}

export interface Run {
  readonly steps: readonly number[];
  /** Name and module of each layer. */
  readonly layers: readonly (readonly [name: string, module: string])[];
  readonly network: readonly Panel[];
  readonly panels: readonly Panel[];
  readonly marks: readonly Mark[];
}

/** What the panels of a page share. */
export interface Shared {
  readonly run: Run;
  readonly moment: Moment;
  readonly choices: Choices;
  readonly tip: Tip;
  /** The colours that layers have had, by their positions. */
  readonly colours: Map<number, number>;
}

const COLOURS = 6;
const SPARSE = 0.4;
/** Share of the snapshots with a value, below which a curve is sparse. */
const NETWORK = -1;
const MARKED = ["problem", "warning"];
const UNMARKED = ["note", "good"];

/** A value of a panel in words. */
export function valueText(value: number | null | undefined, panel: Pick<Panel, "share">): string {
  return value === null || value === undefined ? "—" : panel.share ? percent(value) : digits(value);
}

export function nameOf(run: Run, layer: number): string {
  return layer === NETWORK ? "" : run.layers[layer]?.[0] || "(the model)";
}

/** Colours of the curves that moved: a layer keeps its own from panel to panel, unless another of the same panel has it. */
export function colours(panel: Panel, known: Map<number, number>): number[] {
  const free = Array.from({ length: COLOURS }, (_, i) => i);
  return panel.moved.map((i) => {
    const layer = panel.curves[i]?.layer ?? NETWORK;
    const wanted = layer === NETWORK ? 0 : known.get(layer) ?? known.size % COLOURS;
    const colour = free.includes(wanted) ? wanted : free[0] ?? 0;
    free.splice(free.indexOf(colour), 1);
    if (layer !== NETWORK && !known.has(layer)) known.set(layer, colour);
    return colour;
  });
}

/** The axis of a panel: shares from 0, logarithms where they are asked for, else from 0 where that costs little room. */
export function axisOf(panel: Panel, [bottom, top]: readonly [number, number]): Axis {
  const values = panel.curves.flatMap((curve) => curve.values)
    .filter((v): v is number => v !== null && (!panel.log || v > 0));
  const [low, high] = values.length ? range(values) : [0, 1];
  if (panel.share) return linear([0, Math.min(1, Math.max(1.05 * high, 0.05))], [bottom, top], 3);
  if (panel.log && low < high) return log([low, high], [bottom, top], 3);
  const start = low >= 0 && low < 0.5 * high ? 0 : low;
  const pad = start < high ? 0 : Math.abs(high) || 1;
  return linear([start - pad, high + pad], [bottom, top], 3);
}

/**
 * Whether a number was taken at few of the snapshots, or at half of them and mostly by itself, as validation may be: then
 * it is drawn from one to the next, and stands till then.
 */
export function isSparse(values: readonly (number | null)[]): boolean {
  const known = values.map((value) => value !== null);
  const n = known.filter(Boolean).length;
  const alone = known.filter((is, i) => is && !known[i - 1] && !known[i + 1]).length;
  return n < SPARSE * values.length || (2 * n <= values.length && 2 * alone > n);
}

/** The value at a snapshot; of a sparse curve the last before it. */
export function valueAt(values: readonly (number | null)[], at: number): number | null {
  if (!isSparse(values)) return values[at] ?? null;
  return values.slice(0, at + 1).filter((value) => value !== null).at(-1) ?? null;
}

/** The path of a curve; a value that stands alone, and every one of a sparse curve, is a dot. */
export function curvePath(values: readonly (number | null)[], x: (i: number) => number, y: (value: number) => number): string {
  const sparse = isSparse(values);
  let out = "";
  let isDown = false;
  values.forEach((value, i) => {
    const up = value === null ? NaN : y(value);
    if (!Number.isFinite(up)) {
      isDown &&= sparse;
      return;
    }
    const [across, next] = [px(x(i)), values[i + 1]];
    out += `${isDown ? "L" : "M"}${across} ${px(up)}`;
    if (sparse) out += `m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M${across} ${px(up)}`;
    else if (!isDown && (next === null || next === undefined)) out += "h.01";
    isDown = true;
  });
  return out;
}

/** Draws a panel; what it returns lets go of everything it listens to. */
export function panel(host: HTMLElement, data: Panel, shared: Shared, size: { width: number; height: number }): () => void {
  const { run, moment, choices } = shared;
  const root = drawing(host, size);
  const box: Box = { left: 48, right: size.width - 8, top: 8, bottom: size.height - 20 };
  const y = axisOf(data, [box.bottom, box.top]);
  const [first, last] = [run.steps[0] ?? 0, run.steps[run.steps.length - 1] ?? 1];
  const x = linear([first, last], [box.left, box.right], 4);
  const at = (step: number): number => (last > first ? x(step) : (box.left + box.right) / 2);
  const up = (value: number): number => (data.log && value <= 0 ? NaN : y(value));
  leftAxis(root, box, y, data.share ? percent : data.log ? ofTicks(y.ticks) : digits);
  bottomAxis(root, box, Object.assign((v: number) => at(v), { ticks: x.ticks.filter(Number.isInteger) }), count);
  const shown = run.marks.filter((mark) => !UNMARKED.includes(mark.kind) && mark.step >= first && mark.step <= last);
  root.append(...shown.map((mark) => svg("path", {
    class: `happened ${MARKED.includes(mark.kind) ? mark.kind : ""}`, d: `M${px(at(mark.step))} ${px(box.top)}V${px(box.bottom)}`,
  })));
  const tones = colours(data, shared.colours);
  const lines = data.curves.map((curve, i) => {
    const rank = data.moved.indexOf(i);
    return svg("path", { class: rank < 0 ? "run still" : `run c${tones[rank] ?? 0}`,
      d: curvePath(curve.values, (k) => at(run.steps[k] ?? 0), up) });
  });
  const still = lines.filter((_, i) => !data.moved.includes(i));
  const now = svg("path", { class: "now" });
  root.append(...still, ...data.moved.flatMap((i) => lines[i] ?? []), now);
  const ends = [
    moment.follow((i) => { now.setAttribute("d", `M${px(at(run.steps[i] ?? 0))} ${px(box.top)}V${px(box.bottom)}`); }),
    choices.follow(({ layer }) => {
      const here = layer === null ? -1 : data.curves.findIndex((curve) => curve.layer === layer);
      lines.forEach((line, i) => {
        line.classList.toggle("lit", i === here);
        line.classList.toggle("back", here >= 0 && i !== here);
      });
    }),
  ];
  follow(host, root, data, shared, { box, at, up, width: size.width });
  return () => { for (const end of ends) end(); };
}

interface Scene {
  readonly box: Box;
  readonly at: (step: number) => number;
  readonly up: (value: number) => number;
  readonly width: number;
}

/** The step under the pointer, and the curve that is nearest there; arrow keys go from snapshot to snapshot. */
function follow(host: HTMLElement, root: SVGElement, data: Panel, { run, moment, choices, tip }: Shared, scene: Scene): void {
  const look = (i: number, x: number, y: number, height: number): void => {
    moment.go(i);
    const here = moment.at;
    let best = data.moved[0] ?? 0;
    let least = Infinity;
    data.curves.forEach((curve, k) => {
      const value = valueAt(curve.values, here);
      const far = value === null ? NaN : Math.abs(scene.up(value) - height);
      if (far < least) [best, least] = [k, far];
    });
    const curve = data.curves[best];
    const layer = curve?.layer ?? NETWORK;
    choices.point(layer === NETWORK ? {} : { layer });
    tip.show([nameOf(run, layer) || data.title, `${layer === NETWORK ? "" : `${data.title} `}${valueText(valueAt(curve?.values ?? [], here), data)}`,
      `step ${count(run.steps[here] ?? 0)}`], x, y);
  };
  const leave = (): void => {
    choices.point();
    tip.hide();
  };
  host.onpointermove = (event) => {
    if (!event.buttons && event.pointerType !== "mouse") return;
    const bounds = root.getBoundingClientRect();
    const scale = scene.width / bounds.width;
    const x = (event.clientX - bounds.left) * scale;
    let best = 0;
    run.steps.forEach((step, i) => { if (Math.abs(scene.at(step) - x) < Math.abs(scene.at(run.steps[best] ?? 0) - x)) best = i; });
    look(best, event.clientX, event.clientY, (event.clientY - bounds.top) * scale);
  };
  host.onpointerleave = leave;
  host.onblur = leave;
  host.onkeydown = (event) => {
    const to = { ArrowLeft: moment.at - 1, ArrowRight: moment.at + 1, Home: 0, End: run.steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const bounds = root.getBoundingClientRect();
    const next = Math.max(0, Math.min(run.steps.length - 1, to));
    const value = data.curves[data.moved[0] ?? 0]?.values[next];
    look(next, bounds.left + (scene.at(run.steps[next] ?? 0) * bounds.width) / scene.width, bounds.top + bounds.height / 3,
      value === null || value === undefined ? 0 : scene.up(value));
  };
}

/** The names of the curves in colour with their values at the snapshot that is looked at. */
export function key(data: Panel, { run, moment, choices, colours: known }: Shared): HTMLElement {
  const tones = colours(data, known);
  const entries = data.moved.map((i, rank) => {
    const layer = data.curves[i]?.layer ?? NETWORK;
    const value = html("i", {});
    const entry = html("span", { class: `c${tones[rank] ?? 0}` }, html("b", {}, nameOf(run, layer)), " ", value);
    if (layer !== NETWORK) {
      entry.onpointerenter = () => { choices.point({ layer }); };
      entry.onpointerleave = () => { choices.point(); };
    }
    moment.follow((at) => { value.textContent = valueText(valueAt(data.curves[i]?.values ?? [], at), data); });
    return entry;
  });
  return html("div", { class: "key" }, ...entries);
}

/** Everything that happened as one strip of marks, each with its words. */
export function timeline(host: HTMLElement, { run, tip }: Pick<Shared, "run" | "tip">): void {
  const [first, last] = [run.steps[0] ?? 0, run.steps[run.steps.length - 1] ?? 1];
  const root = svg("svg", { viewBox: "0 0 1000 16", preserveAspectRatio: "none", "aria-hidden": "true" });
  root.append(...run.marks.map((mark) => {
    const x = last > first ? (1000 * (mark.step - first)) / (last - first) : 500;
    const rect = svg("rect", { class: `happening ${mark.kind}`, x: px(Math.min(Math.max(x, 0), 996)), width: 4, y: 2, height: 12 });
    rect.addEventListener("pointerenter", (event) => { tip.show([`step ${count(mark.step)}`, mark.text], event.clientX, event.clientY); });
    rect.addEventListener("pointerleave", () => { tip.hide(); });
    return rect;
  }));
  host.replaceChildren(root);
}

/** What happened after the snapshot before this one, up to it. */
export function news(run: Run, at: number): string[] {
  const from = at > 0 ? run.steps[at - 1] ?? -1 : -1;
  const to = run.steps[at] ?? Infinity;
  return run.marks.filter((mark) => mark.step > from && mark.step <= to).map((mark) => mark.text);
}

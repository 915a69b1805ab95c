/** What every chart over the layers has in common: names below, a guide at the layer that is looked at, its keys. */

import { px, svg } from "./dom.ts";
import { drawing, type Box } from "./frame.ts";
import { ofLayers } from "./names.ts";
import type { Place } from "./place.ts";

const LETTER = 5.9;
const LINE = 18;
const SLANT = 38;

export interface Course {
  readonly root: SVGSVGElement;
  readonly box: Box;
  /** Pixels across of the layer at a position of the chart. */
  readonly x: (index: number) => number;
}

/** A chart whose columns are the layers at these positions of the page. */
export function course(
  host: HTMLElement, layers: readonly number[], place: Place, { left = 48, right = 8, top = 8 } = {},
): Course {
  const root = drawing(host, place);
  const names = ofLayers(layers.map((layer) => place.page.layers[layer]?.label ?? ""), place.width < 420 ? 14 : 18);
  const wide = place.width - left - right;
  const longest = Math.max(...names.map((name) => name.length), 1) * LETTER;
  const isLevel = longest + 6 <= wide / Math.max(names.length, 1);
  const step = isLevel ? 1 : Math.ceil((names.length * LINE) / wide);
  const turned = (Math.PI * SLANT) / 180;
  const room = isLevel ? 22 : 14 + Math.min(longest * Math.sin(turned), 0.45 * place.height);
  const box = { left, right: place.width - right, top, bottom: place.height - room };
  const x = (index: number): number => box.left + ((index + 0.5) * (box.right - box.left)) / Math.max(names.length, 1);
  const marks = svg("g", { class: "axis names", "text-anchor": isLevel ? "middle" : "end" });
  names.forEach((name, i) => {
    if (i % step) return;
    const at = isLevel ? { x: px(x(i)), y: px(box.bottom + 15) }
      : { transform: `translate(${px(x(i) + 3)} ${px(box.bottom + 11)}) rotate(-${SLANT})` };
    marks.append(svg("text", at, name));
  });
  root.append(svg("path", { class: "rule", d: `M${px(box.left)} ${px(box.bottom)}H${px(box.right)}` }), marks);
  return { root, box, x };
}

/**
 * Links a chart over layers with the page: what is pointed at there is marked here, and the other way round.
 *
 * @param tell what a tip says of the layer at a position of the chart.
 */
export function link(
  host: HTMLElement, { root, box, x }: Course, layers: readonly number[], place: Place, tell: (index: number) => string[],
): () => void {
  const { choices, tip } = place.page;
  const guide = svg("path", { class: "guide" });
  root.prepend(guide);
  const end = choices.follow(({ layer }) => {
    const at = layer === null ? -1 : layers.indexOf(layer);
    guide.setAttribute("d", at < 0 ? "" : `M${px(x(at))} ${px(box.top)}V${px(box.bottom)}`);
  });
  let index = -1;
  const look = (at: number, clientX: number, clientY: number): void => {
    index = Math.max(0, Math.min(layers.length - 1, at));
    const layer = layers[index];
    if (layer === undefined) return;
    choices.point({ layer });
    tip.show([place.page.layers[layer]?.label ?? "", ...tell(index)], clientX, clientY);
  };
  const leave = (): void => {
    choices.point();
    tip.hide();
  };
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const along = ((event.clientX - bounds.left) * place.width) / bounds.width;
    look(Math.floor(((along - box.left) * layers.length) / (box.right - box.left)), event.clientX, event.clientY);
  };
  host.onpointerleave = leave;
  host.onblur = leave;
  host.onclick = () => { jump(place, layers[index]); };
  host.onkeydown = (event) => {
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: layers.length - 1 }[event.key];
    if (event.key === "Enter") jump(place, layers[index]);
    if (to === undefined) return;
    event.preventDefault();
    const bounds = root.getBoundingClientRect();
    const next = Math.max(0, Math.min(layers.length - 1, to));
    look(next, bounds.left + (x(next) * bounds.width) / place.width, bounds.top + bounds.height / 3);
  };
  return end;
}

/** Go to where a layer stands on the page. */
function jump(place: Place, layer: number | undefined): void {
  const head = layer === undefined ? undefined : place.page.layers[layer];
  if (head) location.hash = head.anchor;
}

/** Pairs of positions in a chart: each layer with what feeds it, or with the one before where that is not known. */
export function edges(layers: readonly number[], place: Place): [from: number, to: number][] {
  const at = new Map(layers.map((layer, index) => [layer, index]));
  return layers.flatMap((layer, index) => {
    const feeders = place.page.layers[layer]?.feeders;
    if (!feeders) return index ? [[index - 1, index] as [number, number]] : [];
    return feeders.flatMap((feeder) => {
      const from = at.get(feeder);
      return from === undefined || from >= index ? [] : [[from, index] as [number, number]];
    });
  });
}

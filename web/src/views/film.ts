/** The plane of every layer as one film: the same rows, moving from layer to layer. */

import { html, svg } from "../dom.ts";
import { colour, type View } from "../place.ts";
import { byGroup, marks, placed, type Planes } from "../points.ts";
import { follow } from "./planes.ts";

export interface Film {
  /** Figures of the page, one for each layer. */
  readonly frames: readonly number[];
}

const SECONDS = 0.7;
/** Of one step, when it plays. */

/** Where a frame's rows stand in a square from -1 to 1, rows of the first frame in their order. */
function frame(data: Planes, ids: Int32Array): Float32Array {
  const row = new Map([...data.ids].map((id, i) => [id, i]));
  const at = placed(data, 2, 2);
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
export function turned(from: Float32Array, to: Float32Array): Float32Array {
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
  const { page } = place;
  const all = frames.map((index) => page.store.read<Planes>(page.figures[index]?.data ?? {}));
  const first = all[0];
  if (!first) return () => undefined;
  const steps: Float32Array[] = [];
  for (const data of all) {
    const next = frame(data, first.ids);
    steps.push(steps.length ? turned(steps[steps.length - 1] ?? next, next) : next);
  }
  const layers = frames.map((index) => page.figures[index]?.layer ?? -1);
  const stage = html("div", { class: "stage", tabindex: 0, role: "img", "aria-label": host.dataset["label"] ?? "" });
  const root = svg("svg", { viewBox: `0 0 ${place.width} ${place.height - 40}`, "aria-hidden": "true" });
  const slider = html("input", { type: "range", min: 0, max: steps.length - 1, step: "any", value: 0, "aria-label": "Layer" });
  const words = html("output", {});
  const play = html("button", { type: "button" }, "Play");
  stage.append(root);
  host.replaceChildren(stage, html("div", { class: "reel" }, play, slider, words));
  const groups = [...byGroup(first)];
  const paths = groups.map(([group]) => [svg("path", { class: "dots" }), svg("path", { class: "diamonds" }), group] as const);
  const ring = svg("circle", { class: "ring", r: 6, cx: -20, cy: -20 });
  const drawn = paths.map(([dots, diamonds, group]) =>
    svg("g", { class: first.is_classes ? colour(group) : `fifth-${group}` }, dots, diamonds));
  root.append(...drawn, ring);
  const now = new Float32Array(2 * first.ids.length);
  const high = place.height - 40;
  let shown = -1;
  const draw = (at: number): void => {
    const i = Math.min(Math.floor(at), steps.length - 1);
    const from = steps[i];
    const to = steps[Math.min(i + 1, steps.length - 1)];
    if (!from || !to) return;
    const share = at - i;
    for (let k = 0; k < now.length; k++) {
      const value = (1 - share) * (from[k] ?? NaN) + share * (to[k] ?? NaN);
      now[k] = k % 2 ? ((0.98 * value + 1) * high) / 2 : ((0.98 * value + 1) * place.width) / 2;
    }
    paths.forEach(([dots, diamonds], g) => {
      dots.setAttribute("d", marks(now, groups[g]?.[1].train ?? [], "dots"));
      diamonds.setAttribute("d", marks(now, groups[g]?.[1].held_out ?? [], "diamonds"));
    });
    const nearest = Math.round(at);
    if (nearest !== shown) words.textContent = page.layers[layers[nearest] ?? -1]?.label ?? "";
    slider.setAttribute("aria-valuetext", words.textContent ?? "");
    shown = nearest;
    mark(page.choices.now.sample);
  };
  const mark = (sample: number | null): void => {
    const i = sample === null ? -1 : first.ids.indexOf(sample);
    ring.setAttribute("cx", String(now[2 * i] || -20));
    ring.setAttribute("cy", String(now[2 * i + 1] || -20));
  };
  let request = 0;
  const stop = (): void => {
    cancelAnimationFrame(request);
    request = 0;
    play.textContent = "Play";
  };
  play.onclick = () => {
    if (request) return stop();
    play.textContent = "Stop";
    let last = performance.now();
    let at = Number(slider.value) >= steps.length - 1 ? 0 : Number(slider.value);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const tick = (time: number): void => {
      const step = (time - last) / (1000 * SECONDS);
      if (!calm || step >= 1.5) {
        at = Math.min(steps.length - 1, calm ? Math.floor(at) + 1 : at + step);
        last = time;
        slider.value = String(at);
        draw(at);
      }
      if (at >= steps.length - 1) stop();
      else request = requestAnimationFrame(tick);
    };
    request = requestAnimationFrame(tick);
  };
  const seek = (): void => {
    stop();
    draw(Number(slider.value));
  };
  slider.oninput = seek;
  slider.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    slider.value = String(Math.round(Number(slider.value)) + step);
    seek();
  };
  slider.onchange = () => {
    slider.value = String(Math.round(Number(slider.value)));
    draw(Number(slider.value));
  };
  draw(0);
  follow(stage, root, first, now, { ...place, height: high });
  const end = page.choices.follow((choice) => {
    drawn.forEach((g, i) => g.classList.toggle("back", first.is_classes && choice.class !== null && groups[i]?.[0] !== choice.class));
    mark(choice.sample);
  });
  return () => {
    stop();
    end();
  };
};

/** A film that is moved through: a button that plays it, a slider, keys that step; without motion for those who want none. */

import { html } from "./dom.ts";

export const CONTROLS = 40;
/** Pixels down of what stands below a film. */
const SECONDS = 0.7;
/** Of one step, when it plays, where nothing else is said. */

export interface Reel {
  /** Moments of rest, one step apart. */
  readonly n: number;
  /** What the slider chooses; a layer if left out. */
  readonly what?: string;
  /** Of one step, when it plays. */
  readonly seconds?: number;
  /** What the moment that is nearest is called. */
  readonly words: (moment: number) => string;
  /** Draws a place between 0 and `n - 1`. */
  readonly draw: (at: number) => void;
}

/** The buttons below a film, which is drawn at its start; and what ends it. */
export function reel({ n, what = "Layer", seconds = SECONDS, words, draw }: Reel): { readonly controls: HTMLElement; readonly stop: () => void } {
  const slider = html("input", { type: "range", min: 0, max: n - 1, step: "any", value: 0, "aria-label": what });
  const told = html("output", {});
  const play = html("button", { type: "button" }, "Play");
  const go = (at: number): void => {
    draw(at);
    told.textContent = words(Math.round(at));
    slider.setAttribute("aria-valuetext", told.textContent);
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
    let at = Number(slider.value) >= n - 1 ? 0 : Number(slider.value);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const tick = (time: number): void => {
      const step = (time - last) / (1000 * seconds);
      if (!calm || step >= 1.5) {
        at = Math.min(n - 1, calm ? Math.floor(at) + 1 : at + step);
        last = time;
        slider.value = String(at);
        go(at);
      }
      if (at >= n - 1) stop();
      else request = requestAnimationFrame(tick);
    };
    request = requestAnimationFrame(tick);
  };
  const seek = (): void => {
    stop();
    go(Number(slider.value));
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
    go(Number(slider.value));
  };
  go(0);
  return { controls: html("div", { class: "reel" }, play, slider, told), stop };
}

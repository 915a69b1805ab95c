/** A figure with something to move: sliders, choices and buttons, a drawing, and a sentence that says what it shows. */

import { html, svg } from "../dom.ts";

export type Control =
  | { readonly label: string; readonly low: number; readonly high: number; readonly step: number; readonly value: number; readonly unit?: string }
  | { readonly label: string; readonly words: readonly string[] }
  | { readonly press: string };

/** Draws into an empty drawing what the values of the controls mean, and says it: position of a choice, presses of a button. */
export type Draw = (root: SVGSVGElement, values: readonly number[]) => string;

export interface Size {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  /** The slider that dragging across the drawing moves, and where on the drawing it begins and ends. */
  readonly across?: { readonly control: number; readonly from: number; readonly to: number };
}

export function moving(host: HTMLElement, { title, width, height, across }: Size, controls: readonly Control[], draw: Draw): void {
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const said = html("p", { class: "verdict", role: "status" });
  const values = controls.map((control) => ("low" in control ? control.value : 0));
  const show = (): void => {
    root.replaceChildren();
    said.textContent = draw(root, values);
  };
  const rows = controls.map((control, i) => {
    const set = (value: number): void => {
      values[i] = value;
      show();
    };
    return "press" in control ? button(control.press, () => { set((values[i] ?? 0) + 1); })
      : "words" in control ? choice(control.label, control.words, set) : slider(control, set);
  });
  if (across) {
    const input = rows[across.control]?.querySelector("input");
    const follow = (event: PointerEvent): void => {
      const box = root.getBoundingClientRect();
      const share = (((event.clientX - box.left) / box.width) * width - across.from) / (across.to - across.from);
      if (!input) return;
      input.value = String(Number(input.min) + share * (Number(input.max) - Number(input.min)));
      input.dispatchEvent(new Event("input"));
    };
    root.classList.add("draggable");
    root.addEventListener("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      event.preventDefault();
      follow(event);
    });
    root.addEventListener("pointermove", (event) => { if (root.hasPointerCapture(event.pointerId)) follow(event); });
  }
  host.replaceChildren(html("p", { class: "quiet" }, title), html("div", { class: "controls" }, ...rows), root, said);
  show();
}

function slider(control: Extract<Control, { low: number }>, set: (value: number) => void): HTMLElement {
  const { label, low, high, step, value, unit = "" } = control;
  const input = html("input", { type: "range", min: low, max: high, step, value });
  const told = html("output", {});
  const tell = (): void => { told.textContent = `${Number(input.value)}${unit}`; };
  input.addEventListener("input", () => {
    tell();
    set(Number(input.value));
  });
  tell();
  return html("label", {}, html("span", {}, label), input, told);
}

function choice(label: string, words: readonly string[], set: (value: number) => void): HTMLElement {
  const select = html("select", {}, ...words.map((word, i) => html("option", { value: i }, word)));
  select.addEventListener("change", () => { set(Number(select.value)); });
  return html("label", {}, html("span", {}, label), select);
}

function button(words: string, press: () => void): HTMLElement {
  const node = html("button", { type: "button" }, words);
  node.addEventListener("click", press);
  return node;
}

/** Numbers from 0 to 1, the same for the same seed (Mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `n` numbers from `low` to `high`, both included. */
export function evenly(low: number, high: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => low + ((high - low) * i) / Math.max(n - 1, 1));
}

/** A number in words: three digits, powers of ten where it is tiny. */
export function number(value: number): string {
  const short = Number(value.toPrecision(3));
  return Math.abs(short) < 1e-3 && short ? short.toExponential(1) : String(short);
}

/** Colours of the page as a canvas needs them: red, green and blue, as the theme of the moment has them. */

import { html } from "./dom.ts";
import { colour as className } from "./place.ts";

export type Colour = readonly [red: number, green: number, blue: number];

/** The colour that a property of the style sheet stands for now, `ink` or `blue`. */
export function ofName(name: string): Colour {
  return read(html("i", { hidden: "" }), `var(--${name})`);
}

/** The colour of a class of the data now. */
export function ofClass(index: number): Colour {
  return read(html("i", { hidden: "", class: className(index) }), "var(--c)");
}

function read(probe: HTMLElement, value: string): Colour {
  document.body.append(probe);
  probe.style.color = value;
  const [red = 0, green = 0, blue = 0] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [];
  probe.remove();
  return [red, green, blue];
}

/** `#rrggbb`. */
export function ofHex(hex: string): Colour {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** A share of the way from one colour to another. */
export function between(from: Colour, to: Colour, share: number): Colour {
  return [0, 1, 2].map((i) => Math.round((from[i] ?? 0) + ((to[i] ?? 0) - (from[i] ?? 0)) * share)) as unknown as Colour;
}

/** As a canvas takes it. */
export function css([red, green, blue]: Colour): string {
  return `rgb(${red},${green},${blue})`;
}

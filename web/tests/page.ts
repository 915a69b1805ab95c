/** A small page to draw in. */

import { Choices } from "../src/choice.ts";
import type { Figure } from "../src/data.ts";
import type { Page, Place } from "../src/place.ts";
import { Tip } from "../src/tip.ts";

export function page(n: number, more: Partial<Page> = {}): Page {
  return {
    layers: Array.from({ length: n }, (_, i) => ({
      name: `net.${i}`, label: i ? `net.${i}` : "input", anchor: `layer-${i}`, bends: i % 2 === 1, feeders: i ? [i - 1] : [],
    })),
    classes: ["cat", "dog", "cow"], figures: [], read: <D>(figure: Figure): D => figure.data as D, choices: new Choices(), tip: new Tip(document.body),
    ...more,
  };
}

export function place(of: Page, more: Partial<Place> = {}): Place {
  return { width: 400, height: 260, layer: 1, page: of, ...more };
}

export function numbers(path: string): number[] {
  return [...path.matchAll(/-?\d+(?:\.\d+)?/g)].map(Number);
}

/** What a view is given beside its data, and what it gives back. */

import type { Choices } from "./choice.ts";
import type { Figure, LayerHead } from "./data.ts";
import type { Tip } from "./tip.ts";

/** What all views of a page share. */
export interface Page {
  readonly layers: readonly LayerHead[];
  readonly classes: readonly string[];
  readonly figures: readonly Figure[];
  /** The data of a figure. */
  readonly read: <D>(figure: Figure) => D;
  readonly choices: Choices;
  readonly tip: Tip;
}

export interface Place {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Position of the layer the view is about; -1 for one that spans layers. */
  readonly layer: number;
  readonly page: Page;
}

/** Draws data into an element; what it returns lets go of everything it listens to. */
export type View<D> = (host: HTMLElement, data: D, place: Place) => () => void;

export const COLOURS = 10;
/** Classes have as many colours; with more of them, colours repeat. */

/** The class that gives an element the colour of a class of the data, as `--c`. */
export function colour(index: number): string {
  return `c${index % COLOURS}`;
}

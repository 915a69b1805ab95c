/** The card of a unit: what it answers to, as words, means of the classes, a map over the input, and examples. */

import { bytesOf } from "../data.ts";
import { html, px } from "../dom.ts";
import { between, css, ofName, type Colour } from "../palette.ts";
import { colour } from "../place.ts";
import { digits } from "../write.ts";

/** Rows with the highest answers of every unit, or with the lowest. */
export interface Side {
  /** Position among the examples; -1 for none. */
  readonly at: readonly (readonly number[])[];
  readonly value: readonly (readonly (number | null)[])[];
  /** Where in the row. */
  readonly place: readonly (readonly number[])[];
}

export interface UnitLayer {
  readonly name: string;
  readonly kind: string;
  /** Shape of the positions of an answer: none, tokens, or height and width. */
  readonly place: readonly number[];
  readonly channels: boolean;
  readonly rate: readonly (number | null)[];
  readonly selectivity: readonly (number | null)[];
  /** The class whose mean is farthest from that of all other rows. */
  readonly best: readonly number[];
  /** Means and shares above 0, class by class. */
  readonly mean: readonly (readonly (number | null)[])[];
  readonly classRate: readonly (readonly (number | null)[])[];
  /** The most remarkable first. */
  readonly order: readonly number[];
  readonly reason: readonly string[];
  readonly high: Side;
  readonly low: Side;
  /** Correlations with every input, bytes in base64, 128 for none; empty where there are none. */
  readonly tuning: string;
  /** The columns of a table that each unit goes with most. */
  readonly tuned: readonly (readonly number[])[];
  /** How each unit goes with these, in words; none for other inputs. */
  readonly goes: readonly string[];
}

export interface UnitsData {
  readonly classes: readonly string[];
  readonly form: "image" | "tokens" | "table" | string;
  readonly ids: readonly number[];
  /** The class of each example; of rows without classes their labels, in words. */
  readonly y: readonly number[];
  readonly labels: readonly string[];
  readonly sprite: string;
  readonly tile: { readonly w: number; readonly h: number; readonly per: number };
  readonly texts: readonly (readonly number[])[];
  readonly vocabulary: readonly string[];
  /** Columns of a table that cards show, and their values in the examples. */
  readonly columns: readonly string[];
  readonly values: readonly (readonly (number | null)[])[];
  readonly layers: readonly UnitLayer[];
}

const SIDE = 99;
/** Pixels of a thumbnail; a third of them on the page. */
const AROUND = 6;
/** Words beside the one that is marked. */
const NAMED = 12;
/** Classes whose bars a card has room for: of more, those whose means are farthest from the mean of all. */
const BARS = 64;
const SHOWN = { image: [8, 8], other: [8, 3] } as const;
const FAINTEST = 1;
/** Percent of the height that a bar has at least. */

/** What the cards of a page share: its data, and its images in one. */
export class Deck {
  readonly data: UnitsData;
  readonly #sprite = new Image();
  readonly #tunings = new Map<UnitLayer, Uint8Array>();

  constructor(data: UnitsData) {
    this.data = data;
    if (data.sprite) this.#sprite.src = data.sprite;
  }

  /** A card. */
  card(layer: UnitLayer, unit: number): HTMLElement {
    const map = this.#tuned(layer, unit);
    const [high, low] = this.data.form === "image" ? SHOWN.image : SHOWN.other;
    const { classes } = this.data;
    const explained = classes.length ? ` · the classes explain ${share(layer.selectivity[unit])}` : "";
    return html("article", { class: "card" },
      html("h2", {}, `${layer.channels ? "channel" : "unit"} ${unit}`),
      html("p", { class: "reason" }, layer.reason[unit] ?? ""),
      html("p", {}, `above 0 in ${share(layer.rate[unit])} of rows${explained}`),
      ...(layer.goes[unit] ? [html("p", {}, `goes with ${layer.goes[unit]}`)] : []),
      html("div", { class: "body" }, html("div", {}, ...(classes.length ? bars(classes, layer, unit) : [])), ...(map ? [map] : [])),
      html("p", {}, "strongest"), this.#examples(layer, layer.high, unit, high),
      html("p", {}, "weakest"), this.#examples(layer, layer.low, unit, low));
  }

  #examples(layer: UnitLayer, side: Side, unit: number, n: number): HTMLElement {
    const { form, ids, y, labels, classes } = this.data;
    const shown = (side.at[unit] ?? []).slice(0, n).flatMap((at, i) => {
      if (at < 0) return [];
      const place = side.place[unit]?.[i] ?? 0;
      const label = y[at] ?? -1;
      const of = labels[at] ?? `class ${classes[label] ?? label}`;
      const words = `row ${ids[at] ?? ""}, ${of}: ${digits(side.value[unit]?.[i] ?? NaN)}`;
      if (form === "image") return [this.#thumbnail(at, place, layer, words)];
      return [form === "tokens" ? this.#words(at, layer.place.length ? place : -1) : html("p", { class: "text" }, words, this.#columns(at, layer.tuned[unit] ?? []))];
    });
    return html("div", { class: form === "image" ? "strip" : "" }, ...shown);
  }

  /** What stands in the row, in the columns that the unit goes with most. */
  #columns(at: number, shown: readonly number[]): string {
    const { columns, values } = this.data;
    const told = shown.map((column) => `${columns[column] ?? ""} ${digits(values[at]?.[column] ?? NaN)}`);
    return told.length ? ` · ${told.join(", ")}` : "";
  }

  #thumbnail(at: number, place: number, layer: UnitLayer, words: string): HTMLElement {
    const canvas = html("canvas", { width: SIDE, height: SIDE, title: words, role: "img", "aria-label": words });
    const draw = (): void => {
      const context = canvas.getContext("2d");
      if (!context) return;
      const { w, h, per } = this.data.tile;
      const size = SIDE / Math.max(w, h);
      const [wide, high] = [w * size, h * size];
      const [left, top] = [(SIDE - wide) / 2, (SIDE - high) / 2];
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#sprite, (at % per) * w, Math.floor(at / per) * h, w, h, left, top, wide, high);
      const [rows, columns] = layer.place;
      if (rows === undefined || columns === undefined) return;
      context.strokeStyle = css(ofName("vermilion"));
      context.lineWidth = 3;
      context.beginPath();
      context.arc(left + (((place % columns) + 0.5) / columns) * wide, top + ((Math.floor(place / columns) + 0.5) / rows) * high, 9, 0, 7);
      context.stroke();
    };
    if (this.#sprite.complete) draw();
    else this.#sprite.addEventListener("load", draw);
    return canvas;
  }

  #words(at: number, place: number): HTMLElement {
    const row = this.data.texts[at] ?? [];
    const near = row.slice(Math.max(0, place - AROUND), place + AROUND + 1);
    const first = Math.max(0, place - AROUND);
    return html("p", { class: "text" }, ...near.flatMap((number, i) => {
      const word = this.data.vocabulary[number] ?? "";
      return [first + i === place ? html("b", {}, word) : word, " "];
    }));
  }

  #tuned(layer: UnitLayer, unit: number): HTMLElement | null {
    if (!layer.tuning) return null;
    const bytes = this.#tunings.get(layer) ?? new Uint8Array(bytesOf(layer.tuning));
    this.#tunings.set(layer, bytes);
    const { w, h } = this.data.tile;
    const label = "correlation with every pixel: blue positive, orange negative";
    const canvas = html("canvas", { class: "tuned", width: w, height: h, title: label, role: "img", "aria-label": label });
    const context = canvas.getContext("2d");
    const image = context?.createImageData(w, h);
    if (!context || !image) return canvas;
    const values = [...bytes.subarray(unit * w * h, (unit + 1) * w * h)].map((value) => value - 128);
    const most = Math.max(1, ...values.map(Math.abs));
    const [none, more, less]: [Colour, Colour, Colour] = [ofName("card"), ofName("blue"), ofName("orange")];
    values.forEach((value, i) => image.data.set([...between(none, value > 0 ? more : less, Math.abs(value) / most), 255], 4 * i));
    context.putImageData(image, 0, 0);
    return canvas;
  }
}

/** A share in whole percent, small ones to a tenth; the sign stays on the line. */
function share(value: number | null | undefined): string {
  return value === null || value === undefined ? "—" : `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}\u00a0%`;
}

/** The positions of so many values as there is room for, those farthest from their mean, in their order. */
function farthest(values: readonly number[]): number[] {
  const all = values.map((_, i) => i);
  if (all.length <= BARS) return all;
  const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
  const far = (i: number): number => Math.abs((values[i] ?? 0) - middle);
  return all.sort((a, b) => far(b) - far(a)).slice(0, BARS).sort((a, b) => a - b);
}

/** The mean answer to every class as bars from 0. */
export function bars(classes: readonly string[], layer: UnitLayer, unit: number): HTMLElement[] {
  const mean = layer.mean.map((row) => row[unit] ?? 0);
  const low = Math.min(0, ...mean);
  const size = Math.max(0, ...mean) - low || 1;
  const drawn = farthest(mean).map((c) => {
    const value = mean[c] ?? 0;
    const bar = html("i", {});
    bar.style.bottom = `${px((100 * (Math.min(value, 0) - low)) / size)}%`;
    bar.style.height = `${px(Math.max((100 * Math.abs(value)) / size, FAINTEST))}%`;
    return html("span", {
      class: colour(c), title: `class ${classes[c] ?? c}: mean ${digits(value)}, above 0 in ${share(layer.classRate[c]?.[unit])}`,
    }, bar);
  });
  const best = classes[layer.best[unit] ?? -1] ?? "";
  return [html("div", { class: "means", role: "img", "aria-label": `Mean answer to ${classes.length > BARS ? `the ${BARS} of ${classes.length} classes that differ most` : "each class"}; class ${best} stands out` }, ...drawn),
    html("div", { class: "names", "aria-hidden": "true" }, ...(classes.length <= NAMED ? classes.map((name) => html("span", {}, name)) : []))];
}

const by = (values: readonly (number | null)[]): number[] => {
  const value = (i: number): number => values[i] ?? -Infinity;
  return values.map((_, i) => i).sort((a, b) => (value(a) === value(b) ? a - b : value(b) - value(a)));
};

/** The order that only classes give. */
export const BY_CLASS = "selectivity";

/** Orders of the cards, by the words that name them. */
export const ORDERS: Readonly<Record<string, (layer: UnitLayer) => readonly number[]>> = {
  "most remarkable first": (layer) => layer.order,
  [BY_CLASS]: (layer) => by(layer.selectivity),
  "firing rate, highest first": (layer) => by(layer.rate),
  "firing rate, lowest first": (layer) => by(layer.rate).reverse(),
  "strongest answer": (layer) => by(layer.high.value.map((values) => values[0] ?? null)),
  "number": (layer) => layer.rate.map((_, i) => i),
};

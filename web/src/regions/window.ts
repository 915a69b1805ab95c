/** The part of the plane that is on the screen: a rectangle that is moved and zoomed within the whole window. */

import type { Pair, Regions } from "./data.ts";

const FLATTEST = 0.4;
/** The least ratio of the sides of what is seen: a window that is longer has room above and below it. */
const DEEPEST = 1e-5;
const WIDEST = 2;

export class Window {
  readonly whole: Regions["window"];
  /** How many times as high as wide. */
  readonly ratio: number;
  /** Middle and width. */
  #x = 0;
  #y = 0;
  #wide = 1;

  constructor(whole: Regions["window"]) {
    this.whole = whole;
    const [left, bottom, right, top] = whole;
    this.ratio = Math.min(1 / FLATTEST, Math.max(FLATTEST, (top - bottom) / (right - left)));
    this.reset();
  }

  /** Left, bottom, right and top of what is seen. */
  get edges(): [left: number, bottom: number, right: number, top: number] {
    const [half, up] = [this.#wide / 2, (this.#wide * this.ratio) / 2];
    return [this.#x - half, this.#y - up, this.#x + half, this.#y + up];
  }

  /** How many times the whole window is wider. */
  get magnified(): number {
    return (this.whole[2] - this.whole[0]) / this.#wide;
  }

  reset(): void {
    const [left, bottom, right, top] = this.whole;
    this.#x = (left + right) / 2;
    this.#y = (bottom + top) / 2;
    this.#wide = this.#most;
  }

  /** Pixels of a place on a map so many pixels wide. */
  pixels(x: number, y: number, wide: number): Pair {
    return [((x - this.#x) / this.#wide + 0.5) * wide, (0.5 * this.ratio - (y - this.#y) / this.#wide) * wide];
  }

  /** The place under pixels of a map so many pixels wide. */
  place([x, y]: Pair, wide: number): Pair {
    return [(x / wide - 0.5) * this.#wide + this.#x, (0.5 * this.ratio - y / wide) * this.#wide + this.#y];
  }

  /** Move what is seen by shares of its width. */
  move(across: number, up: number): void {
    this.#x += across * this.#wide;
    this.#y += up * this.#wide;
  }

  /** Make what is seen so many times as wide, a place staying where it is. */
  zoom(by: number, [x, y]: Pair): void {
    const wide = Math.min(this.#most * WIDEST, Math.max(this.#most * DEEPEST, this.#wide * by));
    const share = wide / this.#wide;
    this.#x = x + (this.#x - x) * share;
    this.#y = y + (this.#y - y) * share;
    this.#wide = wide;
  }

  get #most(): number {
    const [left, bottom, right, top] = this.whole;
    return Math.max(right - left, (top - bottom) / this.ratio);
  }
}

/** Round coordinates between two ends, some five of them. */
export function around(low: number, high: number): number[] {
  const raw = (high - low) / 5;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((lead) => lead * base >= raw) ?? 10) * base;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** A coordinate in words. */
export function coordinate(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

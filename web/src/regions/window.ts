/** The part of the plane that is on the screen: a square that is moved and zoomed within the whole window. */

import type { Pair, Regions } from "./data.ts";

const DEEPEST = 1e-5;
const WIDEST = 2;

export class Window {
  readonly whole: Regions["window"];
  /** Middle and side. */
  #x = 0;
  #y = 0;
  #side = 1;

  constructor(whole: Regions["window"]) {
    this.whole = whole;
    this.reset();
  }

  get side(): number {
    return this.#side;
  }

  /** Left, bottom, right and top of what is seen. */
  get edges(): [left: number, bottom: number, right: number, top: number] {
    const half = this.#side / 2;
    return [this.#x - half, this.#y - half, this.#x + half, this.#y + half];
  }

  /** How many times the whole window is wider. */
  get magnified(): number {
    return (this.whole[2] - this.whole[0]) / this.#side;
  }

  reset(): void {
    const [left, bottom, right, top] = this.whole;
    this.#x = (left + right) / 2;
    this.#y = (bottom + top) / 2;
    this.#side = this.#most;
  }

  /** Pixels of a place on a square of a size. */
  pixels(x: number, y: number, size: number): Pair {
    return [((x - this.#x) / this.#side + 0.5) * size, (0.5 - (y - this.#y) / this.#side) * size];
  }

  /** The place under pixels of a square of a size. */
  place([x, y]: Pair, size: number): Pair {
    return [(x / size - 0.5) * this.#side + this.#x, (0.5 - y / size) * this.#side + this.#y];
  }

  /** Move what is seen by shares of its side. */
  move(across: number, up: number): void {
    this.#x += across * this.#side;
    this.#y += up * this.#side;
  }

  /** Make what is seen so many times as wide, a place staying where it is. */
  zoom(by: number, [x, y]: Pair): void {
    const side = Math.min(this.#most * WIDEST, Math.max(this.#most * DEEPEST, this.#side * by));
    const share = side / this.#side;
    this.#x = x + (this.#x - x) * share;
    this.#y = y + (this.#y - y) * share;
    this.#side = side;
  }

  get #most(): number {
    const [left, bottom, right, top] = this.whole;
    return Math.max(right - left, top - bottom);
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

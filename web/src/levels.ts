/** Many cells in few elements: cells of about one shade are one path. */

import { px, svg } from "./dom.ts";

const LEVELS = 20;

/** Cells of one colour, the fuller the larger their shade in [0, 1]. */
export class Levels {
  readonly #paths: string[] = Array.from({ length: LEVELS + 1 }, () => "");

  add(shade: number, x: number, y: number, width: number, height: number): void {
    const level = Math.round(LEVELS * Math.max(0, Math.min(1, shade)));
    if (level) this.#paths[level] += `M${px(x)} ${px(y)}h${px(width)}v${px(height)}h${px(-width)}z`;
  }

  elements(kind: string): SVGElement[] {
    return this.#paths.flatMap((d, level) =>
      d ? [svg("path", { class: kind, d, "fill-opacity": Math.round((100 * level) / LEVELS) / 100 })] : []);
  }
}

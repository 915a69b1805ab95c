/** Points of the plane labelled by coins: how often a line parts them, beside Cover's count. */

import { px, svg } from "../dom.ts";
import { linear } from "../scales.ts";
import { moving, number, random } from "./moving.ts";

export type Point = readonly [number, number];
export type Line = readonly [a: number, b: number, c: number];

const SIZE = 260;
const TURNS = [0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001, 1e-4, 1e-6];
const MANY = 100;

function side([a, b, c]: Line, [x, y]: Point): number {
  return a * x + b * y + c;
}

function parts(line: Line, points: readonly Point[], labels: readonly number[]): boolean {
  return points.every((point, i) => (labels[i] ? side(line, point) > 0 : side(line, point) < 0));
}

/**
 * A line with class 1 on its positive side, or null if there is none. Where one is, another touches a point of each class
 * and has all others of a class on its side: all pairs are tried, and the line is turned a little between the two.
 */
export function parting(points: readonly Point[], labels: readonly number[]): Line | null {
  if (new Set(labels).size < 2) return [0, 0, labels[0] ? 1 : -1];
  for (const [i, p] of points.entries()) {
    for (const [j, q] of points.entries()) {
      if (labels[i] || !labels[j]) continue;
      const along = Math.atan2(q[1] - p[1], q[0] - p[0]);
      for (const turn of TURNS.flatMap((angle) => [angle, -angle])) {
        const [nx, ny] = [-Math.sin(along + turn), Math.cos(along + turn)].map((v) => (turn < 0 ? v : -v)) as [number, number];
        const line: Line = [nx, ny, -(nx * (p[0] + q[0]) + ny * (p[1] + q[1])) / 2];
        if (parts(line, points, labels)) return line;
      }
    }
  }
  return null;
}

/** Cover's chance that a line in d dimensions parts coin-flip labels of n points. */
export function cover(n: number, d: number): number {
  let [sum, term] = [0, 1];
  for (let k = 0; k <= Math.min(d, n - 1); k++) {
    sum += term;
    term = (term * (n - 1 - k)) / (k + 1);
  }
  return sum / 2 ** (n - 1);
}

function throws(n: number, seed: number): { points: Point[]; labels: number[]; line: Line | null } {
  const chance = random(1000 * n + seed);
  const points = Array.from({ length: n }, (): Point => [chance(), chance()]);
  const labels = points.map(() => (chance() < 0.5 ? 0 : 1));
  return { points, labels, line: parting(points, labels) };
}

export function coins(host: HTMLElement): void {
  const title = "Points of the plane; a coin gives each its class. Does a line part them?";
  const at = linear([0, 1], [12, SIZE - 12]);
  moving(host, { title, width: SIZE, height: SIZE }, [
    { label: "points", low: 2, high: 16, step: 1, value: 6 },
    { press: "Throw the coins" },
    { press: `Throw them ${MANY} times` },
  ], (root, [n = 6, once = 0, often = 0]) => {
    const last = once + MANY * often;
    const { points, labels, line } = throws(n, last);
    if (line && (line[0] || line[1])) {
      const [a, b, c] = line;
      const foot: Point = [-a * c, -b * c];
      root.append(svg("path", { class: "tangent", d: [-2, 2].map((s, i) =>
        `${i ? "L" : "M"}${px(at(foot[0] - s * b))} ${px(at(foot[1] + s * a))}`).join("") }));
    }
    points.forEach(([x, y], i) => root.append(labels[i]
      ? svg("path", { class: "fill orange", d: `M${px(at(x) - 5)} ${px(at(y) - 5)}h10v10h-10z` })
      : svg("circle", { class: "dot blue", cx: px(at(x)), cy: px(at(y)), r: 5.5 })));
    let found = 0;
    for (let seed = 0; seed <= last; seed++) found += throws(n, seed).line ? 1 : 0;
    return `${line ? "A line parts them." : "No line parts them."} So far that was possible in ${found} of ${last + 1} throws of ${n} points; Cover's count gives ${number(100 * cover(n, 2))} of 100.`;
  });
}

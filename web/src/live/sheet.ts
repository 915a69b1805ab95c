/** A sheet of straight lines sent through layers of two units: without an activation they stay straight. */

import { svg } from "../dom.ts";
import { through } from "../frame.ts";
import { linear } from "../scales.ts";
import { moving, evenly } from "./moving.ts";

type Point = readonly [number, number];

const SIZE = 300;
const TURN = 0.9;
/** Radians by which a layer turns the sheet. */
const SHIFT: Point = [0.35, -0.2];
const STRETCH: Point = [1.25, 0.9];
const LINES = 9;
const ORIGIN: Point = [0, 0];

/** A point after layers that turn, stretch and shift it; what is negative is multiplied by `slope`. */
export function carry(point: Point, layers: number, slope: number): Point {
  let [x, y] = point;
  for (let layer = 0; layer < layers; layer++) {
    const [c, s] = [Math.cos(TURN), Math.sin(TURN)];
    const z: Point = [STRETCH[0] * (c * x - s * y) + SHIFT[0], STRETCH[1] * (s * x + c * y) + SHIFT[1]];
    [x, y] = [z[0] < 0 ? slope * z[0] : z[0], z[1] < 0 ? slope * z[1] : z[1]];
  }
  return [x, y];
}

/** Whether points lie on one straight line. */
export function isStraight(points: readonly Point[]): boolean {
  const [a, b] = [points[0] ?? ORIGIN, points[points.length - 1] ?? ORIGIN];
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  return points.every(([x, y]) => Math.abs((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) < 1e-9 + 1e-6 * length)
    && points.every((point, i) => i < 2 || turnsOn(points[i - 2] ?? a, points[i - 1] ?? a, point));
}

/** Whether a path does not turn back at its middle point. */
function turnsOn(a: Point, b: Point, c: Point): boolean {
  return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) >= -1e-12;
}

export function sheet(host: HTMLElement): void {
  const title = "A sheet with straight lines after some layers of two units. Below zero the activation has a slope of its own: 1 is no activation, 0 is ReLU.";
  moving(host, { title, width: SIZE, height: SIZE }, [
    { label: "layers", low: 0, high: 5, step: 1, value: 2 },
    { label: "slope below zero", low: 0, high: 1, step: 0.05, value: 1 },
  ], (root, [layers = 0, slope = 1]) => {
    const at = evenly(-1, 1, LINES);
    const along = evenly(-1, 1, 161);
    const lines = [...at.map((x) => along.map((y): Point => [x, y])), ...at.map((y) => along.map((x): Point => [x, y]))]
      .map((line) => line.map((point) => carry(point, layers, slope)));
    const all = lines.flat();
    const [left, right, low, high] = [0, 1].flatMap((axis) => {
      const values = all.map((point) => point[axis as 0 | 1]);
      return [Math.min(...values), Math.max(...values)];
    }) as [number, number, number, number];
    const half = Math.max(right - left, high - low, 1e-9) / 2;
    const [x, y] = [linear([(left + right) / 2 - half, (left + right) / 2 + half], [8, SIZE - 8]),
      linear([(low + high) / 2 - half, (low + high) / 2 + half], [SIZE - 8, 8])];
    lines.forEach((line, i) => root.append(svg("path", {
      class: `line thin ${i < LINES ? "blue" : "orange"}`, d: through(line.map((point) => [x(point[0]), y(point[1])])),
    })));
    const bent = lines.filter((line) => !isStraight(line)).length;
    return bent ? `${bent} of ${lines.length} straight lines are no longer straight.`
      : `All ${lines.length} lines are still straight${layers > 1 ? `: ${layers} layers did what one can do` : ""}.`;
  });
}

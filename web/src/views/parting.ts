/** Two tanh units over the plane: their lines can be dragged, and the plane of the two units and the verdict follow. */

import { html, px, svg } from "../dom.ts";

export type Point = readonly [x: number, y: number];

export interface Parting {
  readonly points: readonly Point[];
  /** 0 or 1. */
  readonly labels: readonly number[];
  readonly weights: readonly Point[];
  readonly biases: readonly number[];
  /** From the middle of the input plane to its edge. */
  readonly reach: number;
}

const SIZE = 260;
const ROUNDS = 2000;
const FULL = 0.44;
/** Share of the hidden plane from its middle to where a unit is 1. */
const TONES = ["vermilion", "green"];
const KEYS: Readonly<Record<string, Point>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

interface Unit {
  w: Point;
  b: number;
  /** Length of the weights, which dragging keeps. */
  readonly size: number;
}

/**
 * The perceptron with the best weights kept ("pocket"): a line that parts the points, if it finds one in 2,000 rounds,
 * and how many points it leaves on the wrong side.
 */
export function part(points: readonly Point[], labels: readonly number[]): { line: readonly [number, number, number]; wrong: number } {
  let w: [number, number, number] = [0, 0, 0];
  let best = { line: w, wrong: points.length };
  for (let round = 0; round < ROUNDS && best.wrong; round++) {
    const start: [number, number, number] = [...w];
    points.forEach(([a, b], i) => {
      const sign = labels[i] ? 1 : -1;
      if (sign * (w[0] * a + w[1] * b + w[2]) <= 0) w = [w[0] + sign * a, w[1] + sign * b, w[2] + sign];
    });
    const wrong = points.filter(([a, b], i) => (labels[i] ? 1 : -1) * (start[0] * a + start[1] * b + start[2]) <= 0).length;
    if (wrong < best.wrong) best = { line: start, wrong };
  }
  return best;
}

/** The unit whose line goes through two points; strokes of its line show the side on which it is positive. */
export function through([px0, py0]: Point, [qx, qy]: Point, size: number): { w: Point; b: number } {
  const [dx, dy] = [qx - px0, qy - py0];
  const length = Math.hypot(dx, dy) || 1e-9;
  const w: Point = [(dy / length) * size, (-dx / length) * size];
  return { w, b: -(w[0] * px0 + w[1] * py0) };
}

function mark(label: number, [x, y]: Point): string {
  return label ? `M${px(x - 3)} ${px(y - 3)}h6v6h-6z` : `M${px(x - 3)} ${px(y)}a3 3 0 1 0 6 0a3 3 0 1 0-6 0`;
}

function panel(title: string): { box: HTMLElement; root: SVGSVGElement } {
  const root = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": title });
  return { box: html("div", { class: "panel" }, html("p", {}, title), root), root };
}

export function parting(host: HTMLElement, { points, labels, weights, biases, reach }: Parting): void {
  const units: Unit[] = weights.map((w, i) => ({ w, b: biases[i] ?? 0, size: Math.hypot(...w) }));
  const input = panel("Input: drag the round handles; each line is where a unit is 0");
  const hidden = panel("Hidden: the same points at (unit 1, unit 2)");
  const verdict = html("p", { class: "verdict", role: "status" });
  host.replaceChildren(html("div", { class: "panels" }, input.box, hidden.box), verdict);
  const middle = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis as 0 | 1]);
    return (Math.min(...values) + Math.max(...values)) / 2;
  }) as unknown as Point;
  const half = SIZE / 2;
  const at = ([x, y]: Point): Point => [half + ((x - middle[0]) / reach) * half, half - ((y - middle[1]) / reach) * half];
  const back = ([x, y]: Point): Point => [middle[0] + ((x - half) / half) * reach, middle[1] - ((y - half) / half) * reach];
  const inHidden = ([a, b]: Point): Point => [half + a * SIZE * FULL, half - b * SIZE * FULL];
  const dots = (): SVGPathElement[] => points.map((_, i) => svg("path", { class: `point c${labels[i] ?? 0}` }));
  const lines = units.map((_, i) => svg("path", { class: `kink ${TONES[i] ?? ""}` }));
  const [inputDots, hiddenDots, parts] = [dots(), dots(), svg("path", { class: "parting" })];
  points.forEach((point, i) => inputDots[i]?.setAttribute("d", mark(labels[i] ?? 0, at(point))));
  input.root.append(...lines, ...inputDots);
  hidden.root.append(parts, ...hiddenDots);
  const draw = (): void => {
    lines.forEach((line, i) => line.setAttribute("d", kink(grips[i], units[i], reach, at)));
    const h = points.map(([x, y]) => units.map(({ w, b }) => Math.tanh(w[0] * x + w[1] * y + b)) as unknown as Point);
    h.forEach((point, i) => hiddenDots[i]?.setAttribute("d", mark(labels[i] ?? 0, inHidden(point))));
    const { line: [u, v, c], wrong } = part(h, labels);
    const norm = Math.hypot(u, v) || 1e-9;
    const foot: Point = [(-c * u) / norm ** 2, (-c * v) / norm ** 2];
    const ends = [-3, 3].map((s) => inHidden([foot[0] - (s * v) / norm, foot[1] + (s * u) / norm]).map(px).join(" "));
    parts.setAttribute("d", `M${ends.join("L")}`);
    parts.classList.toggle("failed", wrong > 0);
    verdict.textContent = wrong
      ? `No line found that parts the classes in the hidden plane: the best leaves ${wrong} of ${points.length} wrong.`
      : "A line parts the classes in the hidden plane: these two units are enough.";
  };
  const grips = units.map((unit, i) => handles(unit, { middle, reach }).map((start, end) =>
    new Grip(input.root, start, `Unit ${i + 1}, end ${end + 1}: move with the arrow keys`, TONES[i] ?? "", at, back, () => {
      const [p, q] = grips[i] ?? [];
      if (p && q) Object.assign(unit, through(p.at, q.at, unit.size));
      draw();
    }, reach)));
  draw();
}

/** Two places on the line of a unit: beside its foot, the point of it nearest to the middle. */
function handles({ w, b, size }: Unit, { middle, reach }: { middle: Point; reach: number }): [Point, Point] {
  const off = (w[0] * middle[0] + w[1] * middle[1] + b) / size ** 2;
  const foot: Point = [middle[0] - off * w[0], middle[1] - off * w[1]];
  const along: Point = [(-w[1] / size) * reach * 0.55, (w[0] / size) * reach * 0.55];
  return [[foot[0] - along[0], foot[1] - along[1]], [foot[0] + along[0], foot[1] + along[1]]];
}

/** A unit's line, with strokes towards the side on which it is positive. */
function kink(grips: readonly Grip[] | undefined, unit: Unit | undefined, reach: number, at: (p: Point) => Point): string {
  const [p, q] = [grips?.[0]?.at, grips?.[1]?.at];
  if (!p || !q || !unit) return "";
  const length = Math.hypot(q[0] - p[0], q[1] - p[1]) || 1e-9;
  const along = (s: number): Point => [p[0] + ((q[0] - p[0]) / length) * s, p[1] + ((q[1] - p[1]) / length) * s];
  const side: Point = [(unit.w[0] / unit.size) * reach * 0.04, (unit.w[1] / unit.size) * reach * 0.04];
  const write = (point: Point): string => at(point).map(px).join(" ");
  let path = `M${write(along(-4 * reach))}L${write(along(4 * reach))}`;
  for (let s = -2; s <= 2; s += 0.16) {
    const from = along(s * reach);
    path += `M${write(from)}L${write([from[0] + side[0], from[1] + side[1]])}`;
  }
  return path;
}

/** A round handle that the pointer drags and arrow keys move. */
class Grip {
  at: Point;

  constructor(root: SVGSVGElement, at: Point, label: string, tone: string, show: (p: Point) => Point, back: (p: Point) => Point,
    follow: () => void, reach: number) {
    this.at = at;
    const node = svg("circle", { r: 8, class: `handle ${tone}`, tabindex: 0, role: "button", "aria-label": label });
    const move = (to: Point): void => {
      this.at = to;
      place();
      follow();
    };
    const place = (): void => {
      const [x, y] = show(this.at).map((v) => Math.min(SIZE - 9, Math.max(9, v)));
      node.setAttribute("cx", px(x ?? 0));
      node.setAttribute("cy", px(y ?? 0));
    };
    node.addEventListener("pointerdown", (event) => {
      node.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    node.addEventListener("pointermove", (event) => {
      if (!node.hasPointerCapture(event.pointerId)) return;
      const box = root.getBoundingClientRect();
      move(back([((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE]));
    });
    node.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (!step) return;
      event.preventDefault();
      move([this.at[0] + step[0] * reach * 0.03, this.at[1] + step[1] * reach * 0.03]);
    });
    place();
    root.append(node);
  }
}

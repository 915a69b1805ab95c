/** One ReLU unit that learns a line: with a low bias or a large step it is off on every sample, and then nothing moves it. */

import { px, svg } from "../dom.ts";
import { bottomAxis, discs, leftAxis, through } from "../frame.ts";
import { linear } from "../scales.ts";
import { moving, number, evenly } from "./moving.ts";

const [WIDTH, HEIGHT] = [520, 230];
const BOX = { left: 36, right: 510, top: 10, bottom: 205 };
const SAMPLES = evenly(-1, 1, 41);

export interface State {
  readonly w: number;
  readonly b: number;
  /** On how many samples the unit is above 0, and the slopes of the mean squared error. */
  readonly on: number;
  readonly dw: number;
  readonly db: number;
}

function look(w: number, b: number): State {
  let [on, dw, db] = [0, 0, 0];
  for (const x of SAMPLES) {
    if (w * x + b <= 0) continue;
    const error = w * x + b - target(x);
    on += 1;
    dw += (2 * error * x) / SAMPLES.length;
    db += (2 * error) / SAMPLES.length;
  }
  return { w, b, on, dw, db };
}

function target(x: number): number {
  return Math.max(0, 0.8 * x);
}

/** A unit that starts with weight 1 after steps of gradient descent. */
export function train(bias: number, rate: number, steps: number): State {
  let unit = look(1, bias);
  for (let step = 0; step < steps; step++) unit = look(unit.w - rate * unit.dw, unit.b - rate * unit.db);
  return unit;
}

export function dying(host: HTMLElement): void {
  const title = `One ReLU unit (blue) learns ${SAMPLES.length} samples (orange) by gradient descent, from weight 1 and the bias you give it.`;
  moving(host, { title, width: WIDTH, height: HEIGHT }, [
    { label: "bias at the start", low: -1.5, high: 1.5, step: 0.05, value: 0.5 },
    { label: "learning rate", low: 0.05, high: 2, step: 0.05, value: 0.3 },
    { label: "steps", low: 0, high: 40, step: 1, value: 0 },
  ], (root, [bias = 0, rate = 0, steps = 0]) => {
    const { w, b, on, dw, db } = train(bias, rate, steps);
    const x = linear([-1, 1], [BOX.left, BOX.right]);
    const y = linear([-0.2, 2.5], [BOX.bottom, BOX.top]);
    leftAxis(root, BOX, y, String);
    bottomAxis(root, BOX, x, String);
    const unit = [-1, ...(w && Math.abs(b / w) < 1 ? [-b / w] : []), 1].sort((p, q) => p - q);
    root.append(svg("path", { class: "fill orange", d: discs(SAMPLES.map((at) => [x(at), y(target(at))]), 3) }),
      svg("path", { class: "line blue", d: through(unit.map((at) => [x(at), Math.max(y(Math.max(0, w * at + b)), BOX.top)])) }),
      svg("path", { class: "guide", d: `M${BOX.left} ${px(y(0))}H${BOX.right}` }));
    const after = steps ? `After ${steps} ${steps > 1 ? "steps" : "step"} it` : "It";
    return on ? `${after} is on for ${on} of ${SAMPLES.length} samples: the gradient of its weight is ${number(dw)}, of its bias ${number(db)}.`
      : `${after} is off on all ${SAMPLES.length} samples: dead. The gradient is exactly 0, and more steps change nothing.`;
  });
}

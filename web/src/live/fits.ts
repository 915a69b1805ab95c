/** Units placed evenly along two periods of a sine, their output weights solved for: what more of them can do. */

import { svg } from "../dom.ts";
import { bottomAxis, leftAxis, through } from "../frame.ts";
import { linear } from "../scales.ts";
import { RELU, TANH } from "./functions.ts";
import { moving, number, evenly } from "./moving.ts";

const [WIDTH, HEIGHT] = [520, 220];
const BOX = { left: 36, right: 510, top: 10, bottom: 195 };
const PERIODS = 2 * Math.PI;
const LAST = 5;
/** Place of the last joint; the first stands at the left end. */
const SAME = 1e-7;
/** A column that others give to this share of its length adds nothing. */

const KINDS: readonly { name: string; value: (z: number) => number }[] = [
  RELU, TANH, { name: "square", value: (z) => z * z }, { name: "cube", value: (z) => z ** 3 },
];

/** The least-squares fit of columns to a target: its shadow on what they span. */
export function leastSquares(columns: readonly (readonly number[])[], target: readonly number[]): number[] {
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0);
  const basis: number[][] = [];
  for (const column of columns) {
    const length = Math.sqrt(dot(column, column)) || 1;
    let rest = column.map((v) => v / length);
    for (let pass = 0; pass < 2; pass++) {
      for (const known of basis) {
        const share = dot(rest, known);
        rest = rest.map((v, i) => v - share * (known[i] ?? 0));
      }
    }
    const left = Math.sqrt(dot(rest, rest));
    if (left > SAME) basis.push(rest.map((v) => v / left));
  }
  const shares = basis.map((known) => dot(known, target));
  return target.map((_, i) => basis.reduce((sum, known, k) => sum + (shares[k] ?? 0) * (known[i] ?? 0), 0));
}

export function fits(host: HTMLElement): void {
  const title = "Two periods of a sine (grey) and the best fit of units whose joints stand evenly along it (blue). Only the output weights are solved for; nothing is trained.";
  const places = evenly(-PERIODS, PERIODS, 100);
  const sine = places.map(Math.sin);
  moving(host, { title, width: WIDTH, height: HEIGHT }, [
    { label: "activation", words: KINDS.map(({ name }) => name) },
    { label: "units", low: 1, high: 24, step: 1, value: 4 },
  ], (root, [which = 0, units = 1]) => {
    const { name, value } = KINDS[which] ?? RELU;
    const columns = [places.map(() => 1), ...evenly(-PERIODS, LAST, units).map((joint) => places.map((x) => value(x - joint)))];
    const fit = leastSquares(columns, sine);
    const x = linear([-PERIODS, PERIODS], [BOX.left, BOX.right], 6);
    const y = linear([-1.6, 1.6], [BOX.bottom, BOX.top]);
    leftAxis(root, BOX, y, String);
    bottomAxis(root, BOX, x, String);
    root.append(svg("path", { class: "line muted", d: through(places.map((at, i) => [x(at), y(sine[i] ?? NaN)])) }),
      svg("path", { class: "line blue", d: through(places.map((at, i) => [x(at), y(fit[i] ?? NaN)])) }));
    const error = fit.reduce((sum, v, i) => sum + (v - (sine[i] ?? 0)) ** 2, 0) / fit.length;
    return `${units} ${units > 1 ? "units" : "unit"} of ${name}: mean squared error ${number(error)}.`;
  });
}

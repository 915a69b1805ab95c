/** A gradient on its way back through many layers: how long it is at each, by the weights and slopes it meets. */

import { svg } from "../dom.ts";
import { bottomAxis, discs, leftAxis, through } from "../frame.ts";
import { linear } from "../scales.ts";
import { type Activation, RELU, SIGMOID, TANH } from "./functions.ts";
import { moving, number, random } from "./moving.ts";

const [WIDTH, HEIGHT] = [520, 250];
const BOX = { left: 52, right: 510, top: 10, bottom: 210 };
const UNITS = 32;
const SAMPLES = 8;
const RANGE = [-32, 8] as const;
/** Powers of ten that are shown. */
const KINDS = [SIGMOID, TANH, RELU];

function normal(chance: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
}

/**
 * Lengths of the gradient in the pre-activations of each layer, the last one first made 1. Weights are normal with the
 * spread `spread` / sqrt(units), the biases cancel the mean of a sigmoid.
 */
export function lengths({ value, slope }: Activation, layers: number, spread: number): number[] {
  const chance = random(1);
  const size = spread / Math.sqrt(UNITS);
  const middle = value(0);
  let rows = Array.from({ length: SAMPLES }, () => Array.from({ length: UNITS }, () => normal(chance)));
  const weights: number[][][] = [];
  const slopes: number[][][] = [];
  for (let layer = 0; layer < layers; layer++) {
    const w = Array.from({ length: UNITS }, () => Array.from({ length: UNITS }, () => size * normal(chance)));
    const z = rows.map((row) => w.map((unit) => unit.reduce((sum, v, i) => sum + v * (row[i] ?? 0), 0)));
    weights.push(w);
    slopes.push(z.map((row) => row.map(slope)));
    rows = z.map((row) => row.map((v) => value(v) - middle));
  }
  let back = rows.map((row, n) => row.map((_, i) => normal(chance) * (slopes[layers - 1]?.[n]?.[i] ?? 0)));
  const found = [length(back)];
  for (let layer = layers - 1; layer > 0; layer--) {
    back = back.map((row, n) => Array.from({ length: UNITS }, (_, i) =>
      row.reduce((sum, v, j) => sum + v * (weights[layer]?.[j]?.[i] ?? 0), 0) * (slopes[layer - 1]?.[n]?.[i] ?? 0)));
    found.push(length(back));
  }
  const last = found[0] || 1;
  return found.map((v) => v / last).reverse();
}

function length(rows: readonly (readonly number[])[]): number {
  return Math.sqrt(rows.reduce((sum, row) => sum + row.reduce((inner, v) => inner + v * v, 0), 0));
}

export function depth(host: HTMLElement): void {
  const title = `Length of the gradient at each layer of ${UNITS} units, the last layer's as 1. Weights are drawn anew from a normal distribution; biases keep the pre-activations around 0.`;
  moving(host, { title, width: WIDTH, height: HEIGHT }, [
    { label: "activation", words: KINDS.map(({ name }) => name) },
    { label: "layers", low: 2, high: 30, step: 1, value: 20 },
    { label: "spread of the weights times √m", low: 0.2, high: 6, step: 0.1, value: 0.6 },
  ], (root, [which = 0, layers = 2, spread = 1]) => {
    const kind = KINDS[which] ?? SIGMOID;
    const found = lengths(kind, layers, spread);
    const x = linear([1, layers], [BOX.left, BOX.right], Math.min(layers, 10));
    const y = linear(RANGE, [BOX.bottom, BOX.top], 5);
    const points = found.map((v, i): [number, number] => [x(i + 1), y(Math.max(RANGE[0], Math.min(RANGE[1], Math.log10(v))))]);
    leftAxis(root, BOX, y, (power) => `1e${power}`);
    bottomAxis(root, BOX, x, (at) => (Number.isInteger(at) ? String(at) : ""), "layer, from the input");
    root.append(svg("path", { class: "line blue", d: through(points) }), svg("path", { class: "fill blue", d: discs(points, 3) }));
    const orders = Math.log10(found[0] ?? 0);
    const factor = 10 ** (orders / (layers - 1));
    return !Number.isFinite(orders) ? "Nothing of the gradient reaches the first layer."
      : `The first layer has ${number(found[0] ?? 0)} of the last layer's gradient: a factor of ${number(factor)} for each layer, and ${number(Math.abs(orders))} orders of magnitude ${orders < 0 ? "lost" : "gained"}.`;
  });
}

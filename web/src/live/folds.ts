/** The tent, applied again and again: how many straight pieces depth makes, and how few once the tent is a little lower. */

import { svg } from "../dom.ts";
import { bottomAxis, leftAxis, through } from "../frame.ts";
import { linear } from "../scales.ts";
import { moving } from "./moving.ts";

const [WIDTH, HEIGHT] = [520, 220];
const BOX = { left: 36, right: 510, top: 10, bottom: 195 };

const tent = (x: number, height: number): number => 2 * height * Math.min(x, 1 - x);

/** Where the tent, applied `times` times, changes its slope: all places that come to lie under its tip on the way. */
export function joints(times: number, height: number): number[] {
  let level = [0.5];
  const all = new Set(level);
  for (let step = 1; step < times; step++) {
    level = level.flatMap((y) => (y < height ? [y / (2 * height), 1 - y / (2 * height)] : []));
    for (const x of level) all.add(x);
  }
  return times ? [...all].sort((a, b) => a - b) : [];
}

export function folds(host: HTMLElement): void {
  const title = "The tent, applied once for each layer of two ReLU units.";
  moving(host, { title, width: WIDTH, height: HEIGHT }, [
    { label: "layers", low: 1, high: 8, step: 1, value: 3 },
    { label: "height of the tent", low: 0.5, high: 1, step: 0.01, value: 1 },
  ], (root, [times = 1, height = 1]) => {
    const places = [0, ...joints(times, height), 1];
    const x = linear([0, 1], [BOX.left, BOX.right]);
    const y = linear([0, 1], [BOX.bottom, BOX.top], 2);
    leftAxis(root, BOX, y, String);
    bottomAxis(root, BOX, x, String);
    root.append(svg("path", { class: "line blue", d: through(places.map((at) => {
      let value = at;
      for (let step = 0; step < times; step++) value = tent(value, height);
      return [x(at), y(value)];
    })) }));
    const pieces = places.length - 1;
    return `${times} ${times > 1 ? "layers" : "layer"} of two units: ${pieces} straight pieces of at most ${2 ** times}. One layer would need at least ${pieces - 1} units.`;
  });
}

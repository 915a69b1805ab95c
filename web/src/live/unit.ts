/** One tanh unit over the plane: its weights as an arrow, its line, a sample and its distance. */

import { px, svg } from "../dom.ts";
import { discs } from "../frame.ts";
import { linear } from "../scales.ts";
import { moving, number, evenly } from "./moving.ts";

const SIZE = 300;
const REACH = 3;
const SAMPLE = [1.5, 1] as const;
const STRONG = 0.15;
/** Dots of a unit nearer to 0 than this are left out. */

export function unit(host: HTMLElement): void {
  const title = "A tanh unit over the plane of two inputs: where its output is positive (orange), where negative (blue), larger the nearer to 1 or -1. The arrow is w; the square is a sample.";
  const at = linear([-REACH, REACH], [0, SIZE]);
  const up = linear([-REACH, REACH], [SIZE, 0]);
  moving(host, { title, width: SIZE, height: SIZE }, [
    { label: "direction of w", low: -180, high: 180, step: 5, value: 30, unit: "°" },
    { label: "length of w", low: 0.2, high: 4, step: 0.1, value: 1 },
    { label: "bias b", low: -4, high: 4, step: 0.1, value: 0.5 },
  ], (root, [degrees = 0, length = 1, b = 0]) => {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const z = (x: number, y: number): number => length * (c * x + s * y) + b;
    const dots: Record<"blue" | "orange", string> = { blue: "", orange: "" };
    for (const x of evenly(-2.8, 2.8, 15)) {
      for (const y of evenly(-2.8, 2.8, 15)) {
        const a = Math.tanh(z(x, y));
        if (Math.abs(a) > STRONG) dots[a > 0 ? "orange" : "blue"] += discs([[at(x), up(y)]], 6 * Math.abs(a));
      }
    }
    const foot = [(-b / length) * c, (-b / length) * s] as const;
    const end = [foot[0] + length * c, foot[1] + length * s] as const;
    const [x, y] = SAMPLE;
    const away = z(x, y) / length;
    root.append(
      svg("path", { class: "fill blue", d: dots.blue }), svg("path", { class: "fill orange", d: dots.orange }),
      svg("path", { class: "tangent", d: `M${px(at(foot[0] - 9 * s))} ${px(up(foot[1] + 9 * c))}L${px(at(foot[0] + 9 * s))} ${px(up(foot[1] - 9 * c))}` }),
      svg("path", { class: "guide", d: `M${px(at(x))} ${px(up(y))}L${px(at(x - away * c))} ${px(up(y - away * s))}` }),
      svg("path", { class: "line green", d: `M${px(at(foot[0]))} ${px(up(foot[1]))}L${px(at(end[0]))} ${px(up(end[1]))}` }),
      svg("circle", { class: "dot green", cx: px(at(end[0])), cy: px(up(end[1])), r: 5 }),
      svg("path", { class: "fill ink", d: `M${px(at(x) - 5)} ${px(up(y) - 5)}h10v10h-10z` }),
    );
    return `The sample (${x}, ${y}) lies ${number(Math.abs(away))} from the line, on its ${away > 0 ? "positive" : "negative"} side. Times the length ${number(length)} of w that is z = ${number(z(x, y))}, and the output is ${number(Math.tanh(z(x, y)))}.`;
  });
}

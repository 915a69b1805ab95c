/** An activation and its slope: a place to drag along the curve, with the tangent there. */

import { px, svg } from "../dom.ts";
import { bottomAxis, leftAxis, through } from "../frame.ts";
import { linear } from "../scales.ts";
import { ACTIVATIONS, SIGMOID } from "./functions.ts";
import { moving, number, evenly } from "./moving.ts";

const [WIDTH, HEIGHT] = [520, 260];
const BOX = { left: 40, right: 510, top: 10, bottom: 220 };
const FLAT = 0.05;
/** Below this a slope is called flat. */

export function slopes(host: HTMLElement): void {
  const title = "A pre-activation z goes through an activation (blue); below it, the slope there (orange). Drag across the drawing, or use the slider.";
  moving(host, { title, width: WIDTH, height: HEIGHT, across: { control: 1, from: BOX.left, to: BOX.right } }, [
    { label: "activation", words: ACTIVATIONS.map(({ name }) => name) },
    { label: "z", low: -6, high: 6, step: 0.1, value: 2 },
  ], (root, [which = 0, z = 0]) => {
    const { name, value, slope } = ACTIVATIONS[which] ?? SIGMOID;
    const x = linear([-6, 6], [BOX.left, BOX.right], 6);
    const y = linear([-1.5, 3], [BOX.bottom, BOX.top], 5);
    const places = evenly(-6, 6, 241);
    const shown = (f: (z: number) => number): string => through(places.map((at) => [x(at), f(at) > 3 ? NaN : y(f(at))]));
    leftAxis(root, BOX, y, String);
    bottomAxis(root, BOX, x, String, "z");
    const [height, steep] = [value(z), slope(z)];
    const reach = 1.2 / Math.hypot(1, steep);
    root.append(
      svg("path", { class: "line blue", d: shown(value) }), svg("path", { class: "line orange", d: shown(slope) }),
      svg("path", { class: "guide", d: `M${px(x(z))} ${BOX.top}V${BOX.bottom}` }),
    );
    if (height <= 3) {
      root.append(svg("path", { class: "tangent", d: through([-reach, reach].map((step) => [x(z + step), y(height + steep * step)])) }),
        svg("circle", { class: "dot blue", cx: px(x(z)), cy: px(y(height)), r: 5 }));
    }
    root.append(svg("circle", { class: "dot orange", cx: px(x(z)), cy: px(y(steep)), r: 5 }));
    const what = steep === 0 ? "it is flat there, and no gradient passes." : Math.abs(steep) < FLAT ? "it is nearly flat there, and little of a gradient passes."
      : `a gradient that comes back is multiplied by ${number(steep)}.`;
    return `${name} of ${number(z)} is ${number(height)}, its slope ${number(steep)}: ${what}`;
  });
}

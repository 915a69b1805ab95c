/** Share of the variance along each principal direction, both axes logarithmic. */

import { px, svg } from "../dom.ts";
import { bottomAxis, discs, drawing, leftAxis, through } from "../frame.ts";
import type { View } from "../place.ts";
import { log, range } from "../scales.ts";
import { digits, percent } from "../write.ts";

export interface Spectrum {
  readonly direction: Int32Array;
  readonly share: Float32Array;
  readonly n_directions: number;
  readonly effective_rank: number;
  readonly for_95: number;
}

const LEAST = 1e-8;

export const spectrum: View<Spectrum> = (host, data, place) => {
  const root = drawing(host, place);
  const box = { left: 50, right: place.width - 6, top: 8, bottom: place.height - 36 };
  if (!data.direction.length) {
    root.append(svg("text", { class: "axis", x: px(place.width / 2), y: px(place.height / 2), "text-anchor": "middle" },
      "constant on this data"));
    return () => undefined;
  }
  const [least, greatest] = range(data.share);
  const x = log([0.9, Math.max(1.1 * data.n_directions, 2)], [box.left, box.right]);
  const y = log([Math.max(0.6 * least, LEAST), Math.min(3 * greatest, 1.5)], [box.bottom, box.top], 4);
  leftAxis(root, box, y, (v) => `${digits(100 * v)} %`);
  bottomAxis(root, box, x, digits, "direction");
  const points = [...data.share].map((v, i): [number, number] => [x(data.direction[i] ?? NaN), y(v)]);
  root.append(svg("path", { class: "line held_out", d: through(points) }));
  if (points.length <= 16) root.append(svg("path", { class: "dot filled", d: discs(points, 2.6) }));
  const lines = [
    [data.effective_rank, `effective rank ${digits(data.effective_rank)}`, "warm"],
    [data.for_95, `95 % in ${data.for_95}`, "cool"],
  ] as const;
  lines.slice().sort(([a], [b]) => a - b).forEach(([at, words, kind], i) => {
    const place_ = Math.max(box.left, x(Math.max(at, 0.9)));
    const isRight = place_ > box.left + (i ? 0.72 : 0.5) * (box.right - box.left);
    root.append(svg("path", { class: `dashed ${kind}`, d: `M${px(place_)} ${px(box.top)}V${px(box.bottom)}` }),
      svg("text", { class: `halo ${kind}`, x: px(place_ + (isRight ? -4 : 4)), y: px(box.top + 9 + 14 * i),
        "text-anchor": isRight ? "end" : "start" }, words));
  });
  const dot = svg("circle", { class: "ring", r: 4 });
  dot.style.display = "none";
  root.append(dot);
  host.onpointermove = (event) => {
    const bounds = root.getBoundingClientRect();
    const along = ((event.clientX - bounds.left) * place.width) / bounds.width;
    const i = points.reduce((best, [at], k) => (Math.abs(at - along) < Math.abs((points[best]?.[0] ?? 0) - along) ? k : best), 0);
    dot.setAttribute("cx", px(points[i]?.[0] ?? 0));
    dot.setAttribute("cy", px(points[i]?.[1] ?? 0));
    dot.style.display = "";
    place.page.tip.show([`direction ${data.direction[i] ?? ""}`, `${percent(data.share[i] ?? NaN)} of the variance`],
      event.clientX, event.clientY);
  };
  host.onpointerleave = () => {
    dot.style.display = "none";
    place.page.tip.hide();
  };
  return () => undefined;
};

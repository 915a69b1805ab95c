// @vitest-environment jsdom

import { expect, test } from "vitest";
import type { Planes } from "../src/points.ts";
import { VIEWS } from "../src/views/index.ts";
import { gradient } from "../src/views/gradient.ts";
import { images } from "../src/views/images.ts";
import { ladder } from "../src/views/ladder.ts";
import { law } from "../src/views/law.ts";
import { similarity } from "../src/views/matrix.ts";
import { moments } from "../src/views/moments.ts";
import { probes } from "../src/views/probes.ts";
import { spectrum } from "../src/views/spectrum.ts";
import { differences, versus } from "../src/views/versus.ts";
import { numbers, page, place } from "./page.ts";

const f = (...values: number[]): Float32Array => new Float32Array(values);
const layers = [0, 1, 2];
const ones = f(0.5, 0.7, NaN);
const plane: Planes = {
  ids: new Int32Array([10, 11, 12]), group: new Int32Array([0, 1, 1]), held_out: new Uint8Array([0, 1, 0]),
  points: f(0, 0, 1, 1, 0.5, 0.5), low: [0, 0], high: [1, 1], is_classes: true,
};

/** Data of every view, with a number missing where one may be. */
const DATA: Readonly<Record<string, unknown>> = {
  confusion: { row: new Int32Array([0, 2]), column: new Int32Array([1, 0]), count: new Int32Array([3, 1]), share: f(0.3, 0.1),
    shade: f(1, 0.4), n_classes: 3 },
  curve: { layers, is_accuracy: true, held_out: ones, low: ones, high: ones, train: ones, twin: f(NaN, NaN, NaN), control: ones },
  density: plane,
  differences: { layers, change: f(0.1, -0.02, NaN), low: f(0.05, -0.04, NaN), high: f(0.15, 0, NaN), is_beyond_noise: new Uint8Array([1, 0, 0]) },
  film: { frames: [0, 0] },
  flow: { ids: new Int32Array([0, 1]), group: new Int32Array([0, 1]), held_out: new Uint8Array(2), is_classes: true,
    names: ["input", "0 affine", "1 ReLU"], points: [f(-1, 0, 1, 0), f(0, -1, 0, 1), f(0, 0, 0, 1)],
    lines: [f(-1, 0, 1, 0), f(0, -1, 0, 1), f(0, 0, 0, 1)], along: 2,
    turns: [{ angle: Math.PI / 2, is_mirrored: false, axes: [1, 0, 0, 1], sizes: [1, 1] }, null] },
  gradient: { layers, norm: f(1e-30, 2, NaN) },
  histogram: { left: f(0, 1), width: f(1, 1), share: f(0.3, 0.5), negative: new Uint8Array([1, 0]), inner: 0.01, near_zero: 0, zero: 0.2 },
  images: { pixels: new Uint8Array(8), shape: [2, 2], ids: new Int32Array([10, 11]), classes: new Int32Array([0, 1]), names: ["cat", "dog"] },
  ladder: { layers, words: ["overlap", "undecided", "separable"], remarks: ["a", "b", "c"], is_hollow: [false, true, false],
    is_worthless: [false, false, true] },
  law: { layers, separation: f(10, 1, NaN), fitted: new Int32Array([0, 1]), line: f(10, 1) },
  moments: { place: f(1, 2), mean: f(0, 1), std: f(1, NaN), low: f(-1, 0), high: f(1, 2), order: new Int32Array([1, 0]) },
  planes: plane,
  probes: { layers, accuracy: ones, low: ones, high: ones, task: ones, capacity: ones, chance: 0.3 },
  similarity: { layers: [0, 1], cka: f(1, NaN, 0.4, 1), shade: f(1, 0, 0.4, 1) },
  spectrum: { direction: new Int32Array([1, 2]), share: f(0.9, 0.1), n_directions: 2, effective_rank: 1.4, for_95: 2 },
  staircase: { layers, fisher: f(1, 3, NaN), trace_ratio: ones },
  training: { ids: new Int32Array([0, 1]), group: new Int32Array([0, 1]), held_out: new Uint8Array(2), is_classes: true,
    steps: [0, 30], points: [f(-1, 0, 1, 0), f(0, -1, 0, 1)], windows: [[-2, 2, -1, 1], [-1, 1, -2, 2]],
    scores: [f(0, 0, 0, 1, 0, 0), f(0, 0, 0, 0, 1, 0)], right: [0.5, 1] },
  units: { score: f(0, 1), shade: f(0.1, 1), zero: f(1, 0), flat: f(1, 0), verdict: new Uint8Array([1, 0]), words: ["silent"], columns: 2 },
  versus: { layers, names: ["old", "new"], is_accuracy: true, first: ones, second: f(0.6, 0.9, 1) },
};

HTMLCanvasElement.prototype.getContext = () => null; // jsdom draws nothing on a canvas

function host(): HTMLElement {
  return document.body.appendChild(document.createElement("div"));
}

test("every view has data here", () => {
  expect(Object.keys(DATA).sort()).toEqual(Object.keys(VIEWS).sort());
});

test.each(Object.keys(DATA))("%s draws what is there, answers to pointer and keys, and lets go", (name) => {
  const here = page(3, { figures: [{ view: "planes", layer: 1, data: plane as unknown as Record<string, unknown> }] });
  const box = host();
  const end = VIEWS[name]?.(box, DATA[name] as never, place(here));
  expect(box.querySelector("svg, canvas")).not.toBeNull();
  expect(box.innerHTML).not.toMatch(/NaN|undefined|Infinity/);
  expect(box.querySelectorAll("[style*=':']:not([style='display: none;'])")).toHaveLength(0);
  for (const key of ["ArrowRight", "ArrowDown", "Enter", "Escape"]) box.dispatchEvent(new KeyboardEvent("keydown", { key }));
  box.dispatchEvent(new MouseEvent("pointermove", { clientX: 100, clientY: 80 }));
  box.dispatchEvent(new MouseEvent("pointerleave"));
  here.choices.point({ layer: 1, unit: 0, sample: 11, class: 1 });
  const lit = box.innerHTML;
  expect(lit).not.toMatch(/NaN|undefined/);
  end?.();
  here.choices.clear();
  expect(box.innerHTML).toBe(lit);
});

test("a layer whose gradient is far below the others is still on the axis", () => {
  const box = host();
  gradient(box, DATA["gradient"] as never, place(page(3)));
  expect([...box.querySelectorAll(".axis text")].map((e) => e.textContent)).toContain("1");
  expect(numbers(box.querySelector("path.dot")?.getAttribute("d") ?? "")).toHaveLength(2 * 16);
});

test("rows that are shown as images step back for a class, and light up for a row", () => {
  const here = page(1);
  const box = host();
  images(box, DATA["images"] as never, place(here));
  here.choices.point({ class: 1, sample: 11 });
  expect([...box.querySelectorAll(".image")].map((e) => e.className)).toEqual(["image back", "image looked-at"]);
});

test("the ladder says of each layer what was proved, and of worthless proofs that they are", () => {
  const box = host();
  ladder(box, DATA["ladder"] as never, place(page(3)));
  expect([...box.querySelectorAll(".said")].map((e) => e.textContent))
    .toEqual(["overlap", "undecided", "separable, as are shuffled labels"]);
  expect(box.querySelectorAll(".rung.hollow")).toHaveLength(1);
});

test("the law's line runs over the activations it is fitted to, and no others", () => {
  const box = host();
  law(box, DATA["law"] as never, place(page(3)));
  expect(numbers(box.querySelector("path.fit")?.getAttribute("d") ?? "")).toHaveLength(4);
  expect(box.querySelector("path.dot.quiet")?.getAttribute("d")).toBe("");
});

test("unknown likeness has a dot in place of a shade", () => {
  const box = host();
  similarity(box, DATA["similarity"] as never, place(page(2)));
  expect(box.querySelector("path.missing")?.getAttribute("d")?.split("M")).toHaveLength(2);
  expect([...box.querySelectorAll(".counts text")].map((e) => e.textContent)).toEqual(["1.00", ".40", "1.00"]);
});

test("few units stand one by one, many as bands", () => {
  const box = host();
  moments(box, DATA["moments"] as never, place(page(2)));
  expect(box.querySelectorAll("path.band")).toHaveLength(0);
  const many = Float32Array.from({ length: 50 }, (_, i) => i);
  moments(box, { place: many, mean: many, std: many, low: many, high: many, order: Int32Array.from(many) }, place(page(2)));
  expect(box.querySelectorAll("path.band")).toHaveLength(2);
});

test("a probe is read beside chance, a control task and shuffled labels", () => {
  const here = page(3);
  const box = host();
  probes(box, DATA["probes"] as never, place(here));
  box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  const told = document.querySelector(".tip:not([hidden])")?.textContent ?? "";
  for (const words of ["held-out rows 50 %", "control task 50 %", "shuffled labels", "chance 30 %"]) expect(told).toContain(words);
});

test("a layer that puts out one value says so in place of a spectrum", () => {
  const box = host();
  spectrum(box, { direction: new Int32Array(), share: f(), n_directions: 0, effective_rank: NaN, for_95: 0 }, place(page(1)));
  expect(box.textContent).toBe("constant on this data");
});

test("two studies keep their names at the ends of their lines; differences beyond noise are filled", () => {
  const box = host();
  versus(box, DATA["versus"] as never, place(page(3)));
  expect([...box.querySelectorAll("text.end")].map((e) => e.textContent)).toEqual(["old", "new"]);
  differences(box, DATA["differences"] as never, place(page(3)));
  expect(numbers(box.querySelector("path.dot.filled")?.getAttribute("d") ?? "")).toHaveLength(16);
});

// @vitest-environment jsdom

import { expect, test } from "vitest";
import { marks, nearest, pixelsOf, type Planes } from "../src/points.ts";
import { curve } from "../src/views/curve.ts";
import { density } from "../src/views/density.ts";
import { turn } from "../src/views/film.ts";
import { cut, regions, training } from "../src/views/training.ts";
import { between, flow, part, type Turn } from "../src/views/flow.ts";
import { histogram, slots } from "../src/views/histogram.ts";
import { confusion } from "../src/views/matrix.ts";
import { planes } from "../src/views/planes.ts";
import { staircase } from "../src/views/staircase.ts";
import { compare, unfold } from "../src/views/table.ts";
import { units } from "../src/views/units.ts";
import { numbers, page, place } from "./page.ts";

const f = (...values: number[]): Float32Array => new Float32Array(values);

function host(): HTMLElement {
  return document.body.appendChild(document.createElement("div"));
}

function rows(): Planes {
  return {
    ids: new Int32Array([10, 11, 12, 13]), group: new Int32Array([0, 0, 1, 2]), held_out: new Uint8Array([0, 1, 0, 0]),
    points: f(0, 0, 1, 1, 0.5, 0.5, 9, 9), low: [0, 0], high: [1, 1], is_classes: true,
  };
}

test("points stand where the window puts them, those outside nowhere", () => {
  const at = pixelsOf(rows(), 100, 50);
  expect([...at]).toEqual([0, 50, 100, 0, 50, 25, NaN, NaN]);
  expect(marks(at, [0, 1, 3], "dots")).toBe("M0 50h0M100 0h0");
  expect(nearest(at, 49, 26, 5)).toBe(2);
  expect(nearest(at, 49, 40, 5)).toBe(-1);
});

test("a sample that is pointed at anywhere has its ring here, and a class comes forward", () => {
  const here = page(3);
  const box = host();
  const end = planes(box, rows(), place(here, { width: 100, height: 50 }));
  const ring = box.querySelector<SVGElement>(".ring");
  expect(ring?.style.display).toBe("none");
  here.choices.point({ sample: 12 });
  expect([ring?.getAttribute("cx"), ring?.getAttribute("cy"), ring?.style.display]).toEqual(["50", "25", ""]);
  here.choices.choose({ class: 1 });
  const back = [...box.querySelectorAll("g[class^=class-]")].map((g) => g.classList.contains("back"));
  expect(back).toEqual([true, false, true]);
  end();
  here.choices.clear();
  expect(box.querySelectorAll("g.back")).toHaveLength(2);
});

test("the held-out line follows the graph: a branch is a branch", () => {
  const here = page(4);
  const forked = { ...here, layers: here.layers.map((layer, i) => (i === 3 ? { ...layer, feeders: [0, 2] } : layer)) };
  const box = host();
  const values = f(0.5, 0.6, 0.7, 0.8);
  curve(box, { layers: [0, 1, 2, 3], is_accuracy: true, held_out: values, low: values, high: values, train: values,
    twin: f(NaN, NaN, NaN, NaN), control: values }, place(forked));
  const line = box.querySelector("path.line.held_out")?.getAttribute("d") ?? "";
  expect(line.split("M").length - 1).toBe(4);
  expect(box.querySelectorAll("text.end")).toHaveLength(3);
  expect(line).not.toContain("NaN");
});

test("only activations climb the staircase in colour", () => {
  const box = host();
  staircase(box, { layers: [0, 1, 2], fisher: f(1, 3, 2), trace_ratio: f(1, 1, 1) }, place(page(3)));
  const tread = box.querySelector("path.tread")?.getAttribute("d") ?? "";
  expect(tread.split("M").length - 1).toBe(2);
  expect(numbers(tread).every(Number.isFinite)).toBe(true);
});

test("bars stand beside zero's slot, negative ones to the left", () => {
  const data = { left: f(0, 1), width: f(1, 1), share: f(0.3, 0.5), negative: new Uint8Array([1, 0]), inner: 0.01, near_zero: 0, zero: 0.2 };
  const { gap, low, high } = slots(data);
  expect(gap).toBeCloseTo(0.24);
  expect([low, high].map((v) => Math.round(100 * v) / 100)).toEqual([-1.31, 2.31]);
  const box = host();
  histogram(box, data, place(page(2)));
  expect(box.textContent).toContain("20 % zero");
  expect(box.innerHTML).not.toContain("NaN");
});

test("every unit has a cell, a silent one a mark and its word", () => {
  const here = page(2);
  const box = host();
  units(box, { score: f(0, 1, 2), shade: f(0.06, 0.5, 1), zero: f(1, 0, 0), flat: f(1, 0, 0), verdict: new Uint8Array([1, 0, 0]),
    words: ["silent"], columns: 3 }, place(here));
  expect(box.querySelectorAll("path.cell.silent, path.cell")).toHaveLength(3);
  box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  expect(here.choices.now).toMatchObject({ layer: 1, unit: 0 });
  expect(document.body.textContent).toContain("unit 0: silent");
  box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
  expect(here.choices.chosen.unit).toBe(0);
});

test("above thirty classes the most confused pairs are told", () => {
  const here = page(1, { classes: Array.from({ length: 50 }, (_, i) => `kind ${i}`) });
  const box = host();
  confusion(box, { row: new Int32Array([3, 4]), column: new Int32Array([9, 1]), count: new Int32Array([2, 7]), share: f(0.1, 0.4),
    shade: f(0.5, 1), n_classes: 50 }, place(here));
  expect([...box.querySelectorAll(".pair text")].map((t) => t.textContent)).toEqual(["7: 4 → 1", "2: 3 → 9"]);
});

test("a plane that is turned lies on the one before", () => {
  const from = f(1, 0, 0, 1, -1, 0.5);
  const [cos, sin] = [Math.cos(2), Math.sin(2)];
  const spun = from.map((_, i) => {
    const [x, y] = [from[i - (i % 2)] ?? 0, from[i - (i % 2) + 1] ?? 0];
    return i % 2 ? sin * x + cos * y : cos * x - sin * y;
  });
  const mirrored = spun.map((v, i) => (i % 2 ? -v : v));
  for (const other of [spun, mirrored]) {
    turn(from, other).forEach((v, i) => { expect(v).toBeCloseTo(from[i] ?? NaN, 5); });
  }
});

test("a density adds up to one where nothing is at the edges", () => {
  const shares = density([0.4, 0.5, 0.6], 0, 1);
  expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1);
});

test("missing numbers come last in both orders", () => {
  const sorted = (isFalling: boolean): number[] => [2, NaN, 3].sort((a, b) => compare(a, b, isFalling));
  expect(sorted(false)).toEqual([2, 3, NaN]);
  expect(sorted(true)).toEqual([3, 2, NaN]);
});

test("lines of text become a table, whatever they say", () => {
  const table = unfold("unit\tmean  \n7   \t<b>x</b>\n8");
  expect([...table.querySelectorAll("th[scope=col]")].map((e) => e.textContent)).toEqual(["unit", "mean"]);
  expect([...table.querySelectorAll("tbody tr")].map((e) => [...e.children].map((c) => c.textContent))).toEqual([["7", "<b>x</b>"], ["8", ""]]);
});

const QUARTER: Turn = { angle: Math.PI / 2, is_mirrored: false, axes: [1, 0, 0, 1], sizes: [2, 2] };

test("an affine step turns on its way, a bend goes straight, and both end where the next stage is", () => {
  expect(part(QUARTER, 0)).toEqual([1, 0, 0, 1]);
  const [from, to] = [f(1, 0), f(0, 2)];
  const half = between(from, to, QUARTER, 0.5);
  expect(Math.hypot(half[0] ?? 0, half[1] ?? 0)).toBeCloseTo(1.5);
  expect(half[0]).toBeCloseTo(half[1] ?? NaN);
  expect([...between(from, to, null, 0.5)]).toEqual([0.5, 1]);
  for (const turn of [QUARTER, null]) {
    expect([...between(from, to, turn, 1)].map((v) => Math.round(1e6 * v) / 1e6)).toEqual([0, 2]);
  }
});

test("regions of classes fill the window, each where its score is the greatest", () => {
  const window = [-1, 3, -1, 1];
  const found = regions(f(0, 0, 0, 1, 0, 0, 0, 0, -5), window);
  const area = (outline: readonly (readonly [number, number])[]): number => outline.reduce((sum, [x, y], i) => {
    const [u, v] = outline[(i + 1) % outline.length] ?? [0, 0];
    return sum + (x * v - u * y) / 2;
  }, 0);
  expect(found.map(area)).toEqual([2, 6, 0]);
  expect(cut([[0, 0], [2, 0], [0, 2]], 0, 0, -1)).toEqual([]);
});

test("the film of a training moves rows and regions from step to step", () => {
  const box = host();
  const data = {
    ids: new Int32Array([0, 1]), group: new Int32Array([0, 1]), held_out: new Uint8Array(2), is_classes: true,
    steps: [0, 3000], points: [f(-1, 0, 1, 0), f(0, -1, 0, 1)], windows: [[-2, 2, -1, 1], [-2, 2, -1, 1]],
    scores: [f(0, 0, 0, 1, 0, 0), f(0, 0, 0, 0, 1, 0)], right: [0.5, 1],
  };
  const end = training(box, data, place(page(0), { width: 100, height: 140 }));
  const slider = box.querySelector("input");
  const tint = (): string => box.querySelector("path.tint.c1")?.getAttribute("d") ?? "";
  expect(slider?.getAttribute("aria-label")).toBe("Step");
  expect([box.querySelector("output")?.textContent, tint()]).toEqual(["step 0, 50 %", "M50 100L100 100L100 0L50 0Z"]);
  slider?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  expect(box.querySelector("output")?.textContent).toBe("step 3,000, 100 %");
  expect(new Set(numbers(tint()))).toEqual(new Set([0, 50, 100]));
  expect(tint()).not.toContain("50 ");
  end();
});

test("the film of a flow is scrubbed with the keys of its slider, stage by stage", () => {
  const box = host();
  const data = {
    ids: new Int32Array([0, 1]), group: new Int32Array([0, 1]), held_out: new Uint8Array(2), is_classes: true,
    names: ["input", "0 affine"], points: [f(-1, 0, 1, 0), f(0, -2, 0, 2)], lines: [f(-1, 0, 1, 0), f(0, -2, 0, 2)], along: 2,
    turns: [QUARTER],
  };
  const end = flow(box, data, place(page(0), { width: 100, height: 140 }));
  const slider = box.querySelector("input");
  const grid = (): string => box.querySelector("path.grid")?.getAttribute("d") ?? "";
  expect([box.querySelector("output")?.textContent, slider?.max]).toEqual(["input", "1"]);
  const [, y0, , y1] = numbers(grid());
  expect(y0).toBe(y1);
  slider?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  expect(box.querySelector("output")?.textContent).toBe("0 affine");
  const [x0, low, x1, high] = numbers(grid());
  expect(x0).toBe(x1);
  expect(low).not.toBe(high);
  end();
});

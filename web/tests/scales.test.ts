import { expect, test } from "vitest";
import { apart, linear, log, odds, range } from "../src/scales.ts";

test("equal steps up divide the errors by equal factors", () => {
  const y = odds([0.4, 0.5, 0.999], [300, 0]);
  const at = [0.6, 0.8, 0.9, 0.95].map(y);
  const steps = at.slice(1).map((v, i) => (at[i] ?? 0) - v);
  for (const step of steps) expect(step).toBeCloseTo(steps[0] ?? 0, 0);
  expect(y(1)).toBe(0);
  expect(y.ticks[0]).toBe(1);
});

test.each([[[NaN]], [[0, 0]], [[1, 1]], [[]]])("an axis of accuracies survives %j", (values) => {
  const y = odds(values, [100, 0]);
  expect(y.ticks.every((tick) => Number.isFinite(y(tick)))).toBe(true);
});

test("ticks of a logarithmic axis lie within it, under a decade too", () => {
  for (const [low, high] of [[1e-8, 1e8], [0.9, 70], [2.1, 2.9], [0.011, 0.012]] as const) {
    const x = log([low, high], [0, 100]);
    expect(x.ticks.length).toBeGreaterThanOrEqual(1);
    expect(x.ticks.length).toBeLessThanOrEqual(7);
    for (const tick of x.ticks) {
      expect(x(tick)).toBeGreaterThanOrEqual(-1e-6);
      expect(x(tick)).toBeLessThanOrEqual(100 + 1e-6);
    }
  }
});

test("a plain axis is linear, and one without extent gives numbers", () => {
  expect(linear([0, 10], [0, 100])(2.5)).toBe(25);
  expect(linear([3, 3], [0, 100])(3)).toBe(0);
});

test("names at the ends of lines keep their distance and their middle", () => {
  expect(apart([0, 0.1, 5], 1)).toEqual([-0.45, 0.55, 5]);
  expect(apart([1, 1, 1], 0.5).sort()).toEqual([0.5, 1, 1.5]);
});

test("the range leaves out what is not finite", () => {
  expect(range([NaN, 3, -1, Infinity])).toEqual([-1, 3]);
  expect(range([])).toEqual([NaN, NaN]);
});

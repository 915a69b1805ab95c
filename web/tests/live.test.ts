// @vitest-environment jsdom

import { expect, test } from "vitest";
import { cover, parting, type Point } from "../src/live/coins.ts";
import { lengths } from "../src/live/depth.ts";
import { train } from "../src/live/dying.ts";
import { leastSquares } from "../src/live/fits.ts";
import { joints } from "../src/live/folds.ts";
import { ACTIVATIONS, RELU, SIGMOID } from "../src/live/functions.ts";
import { LIVE } from "../src/live/index.ts";
import { random, evenly } from "../src/live/moving.ts";
import { isStraight, carry } from "../src/live/sheet.ts";

const MOVED = Object.keys(LIVE).filter((name) => name !== "parting");

function shown(name: string): HTMLElement {
  const host = document.body.appendChild(document.createElement("div"));
  LIVE[name]?.(host, { figure: name, caption: "" });
  return host;
}

test.each(MOVED)("%s follows every control to its ends, and says what it shows", (name) => {
  const host = shown(name);
  const said = new Set<string>();
  const look = (): void => {
    expect(host.innerHTML).not.toMatch(/NaN|undefined|Infinity/);
    said.add(host.querySelector(".verdict")?.textContent ?? "");
  };
  look();
  for (const select of host.querySelectorAll("select")) {
    for (const option of select.options) {
      select.value = option.value;
      select.dispatchEvent(new Event("change"));
      look();
    }
  }
  for (const input of host.querySelectorAll("input")) {
    for (const value of [input.min, input.max]) {
      input.value = value;
      input.dispatchEvent(new Event("input"));
      look();
    }
  }
  for (const button of host.querySelectorAll("button")) {
    button.click();
    look();
  }
  expect(said.size).toBeGreaterThan(2);
});

test("dragging across the drawing moves the slider", () => {
  const host = shown("slopes");
  const root = host.querySelector("svg.draggable") as SVGSVGElement;
  root.getBoundingClientRect = () => ({ left: 0, width: 520 }) as DOMRect;
  root.setPointerCapture = () => undefined;
  root.hasPointerCapture = () => true;
  root.dispatchEvent(new MouseEvent("pointerdown", { clientX: 275 }));
  expect(host.querySelector("input")?.value).toBe("0");
  root.dispatchEvent(new MouseEvent("pointermove", { clientX: 510 }));
  expect(host.querySelector("input")?.value).toBe("6");
});

test("slopes are those of the functions", () => {
  for (const { value, slope } of ACTIVATIONS) {
    for (const z of [-3.1, -0.7, 0.4, 2.2]) expect(slope(z)).toBeCloseTo((value(z + 1e-4) - value(z - 1e-4)) / 2e-4, 3);
  }
});

test("Cover's chance is a half at twice as many points as numbers of a line, and what is counted comes near", () => {
  expect([cover(3, 2), cover(6, 2), cover(40, 19)]).toEqual([1, 0.5, 0.5]);
  let found = 0;
  for (let seed = 0; seed < 400; seed++) {
    const chance = random(seed);
    const points = Array.from({ length: 6 }, (): Point => [chance(), chance()]);
    const labels = points.map(() => (chance() < 0.5 ? 0 : 1));
    const line = parting(points, labels);
    if (!line) continue;
    found += 1;
    points.forEach(([x, y], i) => expect(Math.sign(line[0] * x + line[1] * y + line[2])).toBe(labels[i] ? 1 : -1));
  }
  expect(Math.abs(found / 400 - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / 400));
  expect(parting([[0, 0], [1, 1], [0, 1], [1, 0]], [0, 0, 1, 1])).toBeNull();
});

test("tents double their pieces at full height, and not below", () => {
  expect(evenly(1, 8, 8).map((k) => joints(k, 1).length + 1)).toEqual([2, 4, 8, 16, 32, 64, 128, 256]);
  expect(joints(8, 0.9).length).toBeLessThan(255);
  expect(joints(8, 0.5)).toEqual([0.5]);
});

test("a sheet stays straight without an activation, whatever the depth", () => {
  const line = evenly(-1, 1, 41).map((x): Point => [x, 0.3]);
  expect(isStraight(line.map((point) => carry(point, 5, 1)))).toBe(true);
  expect(isStraight(line.map((point) => carry(point, 2, 0.2)))).toBe(false);
});

test("squares fit a sine as badly as a line does, however many", () => {
  const x = evenly(-2 * Math.PI, 2 * Math.PI, 100);
  const sine = x.map(Math.sin);
  const squares = [x.map(() => 1), ...evenly(-6, 5, 20).map((joint) => x.map((v) => (v - joint) ** 2))];
  const error = (fit: number[]): number => fit.reduce((sum, v, i) => sum + (v - (sine[i] ?? 0)) ** 2, 0) / 100;
  expect(error(leastSquares(squares, sine))).toBeCloseTo(error(leastSquares([x.map(() => 1), x], sine)), 6);
  expect(error(leastSquares([x.map(() => 1), ...evenly(-6.3, 5, 24).map((joint) => x.map((v) => Math.max(0, v - joint)))], sine)))
    .toBeLessThan(1e-3);
});

test("a gradient is lost by slope times spread for each layer", () => {
  const first = lengths(SIGMOID, 20, 0.577)[0] ?? 0;
  expect(Math.log10(first)).toBeCloseTo(19 * Math.log10(0.25 * 0.577), 0);
  expect(Math.abs(Math.log10(lengths(RELU, 20, Math.SQRT2)[0] ?? 0))).toBeLessThan(2);
});

test("a unit learns, and a dead one does not", () => {
  const start = train(0.5, 0.3, 0);
  const later = train(0.5, 0.3, 40);
  expect([start.on, Math.abs(later.db) < Math.abs(start.db)]).toEqual([30, true]);
  expect(train(-1.5, 0.3, 40)).toEqual({ w: 1, b: -1.5, on: 0, dw: 0, db: 0 });
  expect(train(0.5, 2, 40).on).toBe(0);
});

// @vitest-environment jsdom

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { begin } from "../src/begin.ts";
import { Choices } from "../src/choice.ts";
import { copying } from "../src/copy.ts";
import { Moment } from "../src/moment.ts";
import { between, css, ofHex } from "../src/palette.ts";
import { frameOf, Finder, states, type Blob } from "../src/regions/data.ts";
import { classes, region } from "../src/regions/told.ts";
import { around, coordinate, Window } from "../src/regions/window.ts";
import { Tip } from "../src/tip.ts";
import { bars, Deck, ORDERS, type UnitLayer, type UnitsData } from "../src/views/card.ts";
import { confront, guess } from "../src/views/guess.ts";
import { axisOf, colours, curvePath, key, panel, news, valueAt, type Panel, type Run, type Shared } from "../src/views/panel.ts";
import { part, parting, through } from "../src/views/parting.ts";
import { items } from "../src/views/table.ts";

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener: () => undefined }));
  localStorage.clear();
});

afterEach(() => {
  document.body.replaceChildren();
  delete document.documentElement.dataset["theme"];
  vi.unstubAllGlobals();
});

function base64(type: Blob["type"], values: Float32Array | Uint32Array | Uint8Array | Int16Array): Blob {
  return { type, data: btoa(String.fromCharCode(...new Uint8Array(values.buffer as ArrayBuffer))) };
}

// The theme, and what every page begins with

test("the button names the other theme, changes to it and is remembered", () => {
  document.body.innerHTML = "<button id=theme hidden></button><p class=scripted hidden></p>";
  const button = document.querySelector("button") as HTMLButtonElement;
  let changes = 0;
  begin(() => changes++);
  expect([button.hidden, document.querySelector("p")?.hidden, button.textContent]).toEqual([false, false, "Light"]);
  button.click();
  expect([document.documentElement.dataset["theme"], button.textContent, changes]).toEqual(["light", "Dark", 1]);
  expect(localStorage.getItem("unbend-theme")).toBe("light");
});

test("colours are mixed channel by channel", () => {
  expect(css(between(ofHex("#000000"), ofHex("#ff8000"), 0.5))).toBe("rgb(128,64,0)");
});

test("code is copied, and where that is refused it is selected", async () => {
  document.body.innerHTML = "<div><button class=copy>Copy</button><pre><code>x = 1</code></pre></div>";
  const copied: string[] = [];
  vi.stubGlobal("navigator", { clipboard: { writeText: (text: string) => { copied.push(text); return Promise.resolve(); } } });
  copying();
  document.querySelector("button")?.click();
  await Promise.resolve();
  expect(copied).toEqual(["x = 1"]);
});

// A training run

const run: Run = {
  steps: [10, 20, 30], layers: [["a", "ReLU"], ["", "Net"]], network: [],
  panels: [{ name: "silent", title: "Silent units", meaning: "share", log: false, share: true, moved: [0, 1],
    curves: [{ layer: 0, values: [0, 0.5, 0.5] }, { layer: 1, values: [0.1, null, 0.3] }] }],
  marks: [{ step: 20, kind: "problem", text: "it broke" }],
};
const shown = run.panels[0] as Panel;

function views(): Shared {
  return { run, moment: new Moment(3), choices: new Choices(), tip: new Tip(document.body), colours: new Map() };
}

test("a panel draws its curves, marks what happened, and follows step and layer", () => {
  const [all, host] = [views(), document.body.appendChild(document.createElement("div"))];
  const end = panel(host, shown, all, { width: 300, height: 140 });
  const lines = [...host.querySelectorAll("path.run")];
  expect(lines.map((line) => line.getAttribute("d")?.split("M").length)).toEqual([2, 3]);
  expect(host.querySelectorAll("path.happened.problem")).toHaveLength(1);
  expect(host.innerHTML).not.toContain("NaN");
  const now = host.querySelector("path.now")?.getAttribute("d");
  host.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  expect(all.moment.at).toBe(1);
  expect(host.querySelector("path.now")?.getAttribute("d")).not.toBe(now);
  expect(document.querySelector(".tip")?.textContent).toContain("step 20");
  all.choices.point({ layer: 1 });
  expect(lines.map((line) => line.classList.contains("lit"))).toEqual([false, true]);
  end();
});

test("the key tells names and values at the step", () => {
  const all = views();
  const words = key(shown, all);
  expect(words.textContent).toBe("a 50 %(the model) 30 %");
  all.moment.go(1);
  expect(words.textContent).toBe("a 50 %(the model) —");
});

test("a layer keeps its colour from panel to panel, unless another has it there", () => {
  const known = new Map<number, number>();
  expect(colours(shown, known)).toEqual([0, 1]);
  expect(colours({ ...shown, moved: [1] }, known)).toEqual([1]);
  known.set(0, 1);
  expect(colours(shown, known)).toEqual([1, 0]);
});

test("numbers taken now and then are joined and stand until the next", () => {
  const sparse = [1, null, null, null, null, 3, null, null, null, null];
  expect(valueAt(sparse, 4)).toBe(1);
  expect(valueAt([1, null, 3], 1)).toBeNull();
  const everyOther = [null, 1, null, 2, null, 3, null, null, 4, 5];
  expect(valueAt(everyOther, 6)).toBe(3);
  expect(curvePath(everyOther, (i) => i, (v) => v)).toMatch(/^M1 1.*L3 2.*L5 3.*L8 4.*L9 5/);
  expect(valueAt([1, 2, 3, null, null, 4, 5, null, null, null], 4)).toBeNull();
  const path = curvePath(sparse, (i) => i, (v) => v);
  expect(path).toContain("L5 3");
  expect(curvePath([null, 2, null], (i) => i, (v) => v)).toContain("M1 2");
});

test.each([
  [{ share: true, log: false }, [0, 0.5], 0], [{ share: false, log: true }, [0.001, 10], 0.001], [{ share: false, log: false }, [5, 5], 5],
] as const)("an axis of %j has finite ticks", (kind, values, at) => {
  const axis = axisOf({ ...shown, ...kind, curves: [{ layer: -1, values }] }, [100, 0]);
  expect(axis.ticks.length).toBeGreaterThan(0);
  expect(Number.isFinite(axis(at))).toBe(true);
});

test("what happened since the snapshot before is said", () => {
  expect([0, 1, 2].map((at) => news(run, at))).toEqual([[], ["it broke"], []]);
});

// Units

const layer: UnitLayer = {
  name: "1", kind: "units", place: [], channels: false, rate: [0.5, 0, null], selectivity: [0.1, 0.9, null], best: [0, 1, 0],
  mean: [[1, -1, 0], [0, 2, 0]], classRate: [[1, 0, 0], [0, 1, 0]], order: [1, 0, 2], reason: ["", "of a class", "constant"],
  high: { at: [[0], [1], [-1]], value: [[3], [4], [null]], place: [[], [], []] },
  low: { at: [[1], [0], [-1]], value: [[-3], [-4], [null]], place: [[], [], []] }, tuning: "",
  tuned: [[0, 1], [1, 0], [0, 1]], goes: ["", "column “hue” (r = 0.90)", ""],
};
const deck: UnitsData = { classes: ["cat", "dog"], form: "table", ids: [7, 8], y: [0, 1], labels: [], sprite: "", tile: { w: 0, h: 0, per: 1 },
  texts: [], vocabulary: [], columns: ["ash", "hue"], values: [[1.5, 2], [0.25, null]], layers: [layer] };

test("a card tells a unit's reason, rate, classes and examples", () => {
  const card = new Deck(deck).card(layer, 1);
  expect(card.querySelector("h2")?.textContent).toBe("unit 1");
  expect(card.textContent).toContain("of a class");
  expect(card.textContent).toContain("row 8, class dog: 4 · hue —, ash 0.25");
  expect(card.textContent).toContain("the classes explain 90\u00a0%");
});

test("bars of the classes rise and fall from one ground", () => {
  const heights = [...(bars(deck.classes, layer, 1)[0] as HTMLElement).querySelectorAll("i")].map((bar) => [bar.style.bottom, bar.style.height]);
  expect(heights).toEqual([["0%", "33.3%"], ["33.3%", "66.7%"]]);
});

test("rows without classes are told by their labels, and of very many classes those stand on a card that differ most", () => {
  const labelled = new Deck({ ...deck, classes: [], y: [], labels: ["even", "no label"] });
  expect(labelled.card(layer, 1).textContent).toContain("row 8, no label: 4");
  const means = Array.from({ length: 1000 }, (_, i) => [0, i % 20 === 0 ? 5 : 0, 0]);
  const many = { ...layer, mean: means, classRate: means, best: [0, 20, 0] };
  const [drawn] = bars(means.map((_, i) => `kind ${i}`), many, 1);
  const titles = [...(drawn?.children ?? [])].map((bar) => bar.getAttribute("title") ?? "");
  expect(titles).toHaveLength(64);
  expect(titles.filter((title) => title.includes("mean 5"))).toHaveLength(50);
  expect(drawn?.getAttribute("aria-label")).toContain("the 64 of 1000 classes that differ most; class kind 20");
});

test("every order holds every unit once, and missing numbers come last", () => {
  for (const order of Object.values(ORDERS)) expect([...order(layer)].sort()).toEqual([0, 1, 2]);
  expect(ORDERS["selectivity"]?.(layer)).toEqual([1, 0, 2]);
});

test("words around the marked one are shown", () => {
  const texts: UnitsData = { ...deck, form: "tokens", texts: [[0, 1, 0], [0, 0, 1]], vocabulary: ["the", "cat"] };
  const there: UnitLayer = { ...layer, place: [3], high: { at: [[0], [1], []], value: [[3], [4], []], place: [[1], [2], []] } };
  expect(new Deck(texts).card(there, 0).querySelector(".text b")?.textContent).toBe("cat");
});

// Regions: two triangles of the unit square

const frame = frameOf({
  title: "now", n_faces: 2, facts: [], xy: base64("f4", new Float32Array([0, 0, 1, 0, 1, 1, 0, 1])), ptr: base64("u4", new Uint32Array([0, 3, 6])),
  corner: base64("u4", new Uint32Array([0, 1, 2, 0, 2, 3])), edge: base64("u4", new Uint32Array([0, 2])),
  edge_layer: base64("i2", new Int16Array([0, 0])), level: base64("u1", new Uint8Array([0, 255])),
  area: base64("f4", new Float32Array([0.5, 0.5])), bits: base64("u1", new Uint8Array([0b10100000, 0])),
  maps: base64("f4", new Float32Array([1, 2, 3, 4, 5, 6])), class_areas: [1, 0],
});
const regions = {
  window: [0, 0, 1, 1], axes: ["x", "y"], layers: [{ name: "0", n_units: 3, first: 0, n_rows: 1 }], n_maps: 1, n_bytes: 1, ramp: [],
  class_names: ["cat", "dog"], points: null, images: [], frames: [],
} as const;

test("a place is found in its region, and outside of all in none", () => {
  const finder = new Finder(frame, [0, 0, 1, 1]);
  expect([finder.at(0.8, 0.2), finder.at(0.2, 0.8), finder.at(1.5, 0.5)]).toEqual([0, 1, -1]);
});

test("a region tells its map and pattern", () => {
  expect(states(frame, regions.layers[0], 0, 1)).toEqual([1, 0, 1]);
  const box = document.createElement("div");
  box.replaceChildren(...region(frame, 1, regions));
  expect(box.textContent).toContain("0: 0 of 3 units past a kink");
  expect([...box.querySelectorAll("td")].map((e) => e.textContent)).toEqual(["4", "5", "6"]);
  expect(classes(frame, regions).map((e) => e.textContent)).toEqual(["cat100 % of the window", "1 of 2 classes have no part of it"]);
});

test("the window goes from places to pixels and back, and zooms about a place", () => {
  const seen = new Window([0, 0, 4, 2]);
  expect(seen.ratio).toBe(0.5);
  expect([seen.pixels(0, 2, 400), seen.pixels(4, 0, 400)]).toEqual([[0, 0], [400, 200]]);
  seen.zoom(0.5, [1, 1]);
  expect(seen.place(seen.pixels(3, 0.5, 400) as [number, number], 400)).toEqual([3, 0.5]);
  expect(seen.pixels(1, 1, 400)).toEqual([100, 100]);
  expect(around(-1.2, 2.6)).toEqual([-1, 0, 1, 2]);
  expect(coordinate(1e-7)).toBe("1.000e-7");
});

// A lesson

test("a guess is confronted with the answer, and kept", () => {
  const step = { step: 1, unit: " of 100" };
  expect([confront(50, 50.3, step), confront(90, 50, step)])
    .toEqual(["You said 50 of 100, and so it is.", "You said 90 of 100; it is 50."]);
  document.body.innerHTML = `<article data-lesson="xor"></article><form id=prediction data-answer=50 data-unit="of 100">
    <input id=guess type=range min=0 max=100 step=1 value=50><output id=guessed></output></form><p id=confront hidden></p><details id=result></details>`;
  guess();
  const say = (): void => { document.getElementById("prediction")?.dispatchEvent(new Event("submit", { cancelable: true })); };
  say();
  expect(document.getElementById("guessed")?.textContent).toContain("Move the slider");
  expect(document.getElementById("confront")?.textContent).toBe("");
  (document.getElementById("guess") as HTMLInputElement).value = "90";
  document.getElementById("guess")?.dispatchEvent(new Event("input"));
  say();
  expect(document.getElementById("confront")?.textContent).toContain("it is 50.");
  expect(localStorage.getItem("unbend-guess-xor")).toBe("90");
});

test("points that a line parts are parted, others are counted", () => {
  expect(part([[0, 0], [1, 1], [0, 1], [1, 0]], [0, 0, 1, 1]).wrong).toBeGreaterThan(0);
  expect(part([[0, 0], [1, 1], [2, 2]], [0, 1, 1]).wrong).toBe(0);
  const { w, b } = through([0, 1], [1, 0], 2);
  expect(Math.hypot(...w)).toBeCloseTo(2);
  for (const [x, y] of [[0, 1], [1, 0], [0.5, 0.5]] as const) expect(w[0] * x + w[1] * y + b).toBeCloseTo(0);
});

test("handles move with the keys, and the verdict follows", () => {
  const host = document.body.appendChild(document.createElement("div"));
  parting(host, { points: [[0, 0], [1, 1], [0, 1], [1, 0]], labels: [0, 0, 1, 1], weights: [[2, 2], [2, 2]], biases: [-1, -3], reach: 1.5 });
  expect(host.querySelector(".verdict")?.textContent).toContain("these two units are enough");
  const before = host.querySelector("path.kink")?.getAttribute("d");
  host.querySelector(".handle")?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", cancelable: true }));
  expect(host.querySelector("path.kink")?.getAttribute("d")).not.toBe(before);
});

test("numbers that are carried as text become a list", () => {
  const [first] = items("held-out\t92 %\t91 to 93\nrms\t1.5\t");
  expect([first?.querySelector("dt")?.textContent, first?.querySelector("small")?.textContent]).toEqual(["held-out", "91 to 93"]);
});

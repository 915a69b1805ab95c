import { expect, test } from "vitest";
import { distinct, ofLayers, shorten } from "../src/names.ts";
import { digits, percent, power } from "../src/write.ts";

test("layers lose the start they share, and the middle where they are long", () => {
  expect(ofLayers(["input", "encoder.layer.0.attention", "encoder.layer.1.attention"])).toEqual(["input", "0.attention", "1.attention"]);
  expect(shorten("encoder.layer.0.attention.output.dense")).toBe("encoder.…put.dense");
  expect(ofLayers([])).toEqual([]);
  expect(ofLayers(["embeddings", "encoder.layer.0.output", "encoder.layer.1.output", "encoder.layer.2.output", "pooler"]))
    .toEqual(["embeddings", "0.output", "1.output", "2.output", "pooler"]);
  expect(ofLayers(["input", "net.0", "net.1", "net.2", "0"])).toEqual(["input", "net.0", "net.1", "net.2", "0"]);
});

test("paths that differ in their numbers alone are told apart where there is little room", () => {
  const blocks = ["0.0", "0.1", "1.0", "1.1"].map((at) => `net.stages.${at.replace(".", ".layers.")}.layer.0.activation`);
  expect(ofLayers(["input", ...blocks], 14)).toEqual(["input", "0.l.0.l.0.act…", "0.l.1.l.0.act…", "1.l.0.l.0.act…", "1.l.1.l.0.act…"]);
  expect(ofLayers(["input", "encoder.layer.0.attention.output.dense", "encoder.layer.1.intermediate"])).toEqual(
    ["input", "0.a.output.dense", "1.intermediate"]);
  expect(ofLayers(["input", "averyveryverylongnameofalayer"])).toEqual(["input", "averyver…eofalayer"]);
  expect(ofLayers(["input", "a.first_of_words_1", "a.first_of_words_2", "b.c", "c.d"], 14)).toEqual(
    ["input", "a.firs…words_1", "a.firs…words_2", "b.c", "c.d"]);
});

test("classes lose the words they share, never a part of a word", () => {
  expect(distinct(["digit 0", "digit 1"])).toEqual(["0", "1"]);
  expect(distinct(["cat", "car"])).toEqual(["cat", "car"]);
  expect(distinct(["only"])).toEqual(["only"]);
});

test("numbers are written as the tables write them", () => {
  expect([63.5695, 1438, NaN, 1e-9, 0, -0.25, Infinity].map(digits)).toEqual(["63.6", "1,438", "—", "1e-9", "0", "-0.25", "∞"]);
  expect([0.9749, 1, NaN].map(percent)).toEqual(["97.5 %", "100 %", "—"]);
  expect([1000, 1e-8, 10, 0.02].map(power)).toEqual(["10³", "10⁻⁸", "10", "0.02"]);
});

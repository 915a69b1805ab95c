import { expect, test } from "vitest";
import { Store } from "../src/data.ts";

function base64(bytes: ArrayBufferLike): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

test("arrays come back from their blocks, which are decoded once", () => {
  let asked = 0;
  const numbers = new Float32Array([1.5, NaN, -2]);
  const store = new Store(() => { asked++; return base64(numbers.buffer); });
  const read = store.read<{ x: Float32Array; rest: [string, Float32Array] }>({
    x: { $: [0, "f4", 0, 3] }, rest: ["word", { $: [0, "f4", 4, 2] }],
  });
  expect([...read.x]).toEqual([1.5, NaN, -2]);
  expect(read.rest[0]).toBe("word");
  expect([...read.rest[1]]).toEqual([NaN, -2]);
  expect(asked).toBe(1);
});

test("coordinates of 16 bits are unpacked column by column", () => {
  const store = new Store(() => base64(new Uint16Array([0, 10, 65535, 20]).buffer));
  const read = store.read<Float32Array>({ $: [0, "u2", 0, 4], low: [1, -5], step: [0.5, 2] });
  expect([...read]).toEqual([1, 15, NaN, 35]);
});

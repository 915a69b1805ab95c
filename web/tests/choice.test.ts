import { expect, test } from "vitest";
import { Choices, type Choice } from "../src/choice.ts";

test("what is pointed at goes before what was chosen, and gives way to it", () => {
  const choices = new Choices();
  const seen: Choice[] = [];
  const end = choices.follow((now) => seen.push(now));
  choices.choose({ class: 2 });
  choices.point({ class: 1 });
  expect(choices.now.class).toBe(1);
  choices.point();
  expect(choices.now.class).toBe(2);
  choices.choose({ class: 2 });
  expect(choices.now.class).toBeNull();
  expect(seen).toHaveLength(5);
  end();
  choices.clear();
  expect(seen).toHaveLength(5);
});

test("a unit belongs to its layer: pointing at another layer does not light the chosen unit there", () => {
  const choices = new Choices();
  choices.choose({ layer: 3, unit: 7 });
  choices.point({ layer: 1 });
  expect([choices.now.layer, choices.now.unit]).toEqual([1, null]);
  choices.point({ sample: 5 });
  expect([choices.now.layer, choices.now.unit, choices.now.sample]).toEqual([3, 7, 5]);
});

/** The guess that a lesson asks for before it shows what comes out; it is kept, and confronted with the answer. */

import { part } from "../begin.ts";
import { keep, recall } from "../keep.ts";

function short(value: string | number): string {
  return String(Number(Number(value).toPrecision(3)));
}

/** What is said to a guess. */
export function confront(said: number, answer: number, { step, unit }: { step: number; unit: string }): string {
  return Math.abs(said - answer) <= step / 2 ? `You said ${short(said)}${unit}, and so it is.`
    : `You said ${short(said)}${unit}; it is ${short(answer)}.`;
}

export function guess(): void {
  const asked = document.getElementById("prediction");
  if (!asked) return;
  const key = `unbend-guess-${document.querySelector("article")?.dataset["lesson"] ?? ""}`;
  const slider = part<HTMLInputElement>("guess");
  const [guessed, result, said] = [part("guessed"), part<HTMLDetailsElement>("result"), part("confront")];
  const unit = asked.dataset["unit"] ? ` ${asked.dataset["unit"]}` : "";
  const tell = (): void => { guessed.textContent = short(slider.value) + unit; };
  const reveal = (): void => {
    tell();
    said.textContent = confront(Number(slider.value), Number(asked.dataset["answer"]), { step: Number(slider.step), unit });
    said.hidden = false;
    result.open = true;
  };
  let isChosen = false;
  slider.addEventListener("input", () => {
    isChosen = true;
    tell();
  });
  asked.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!isChosen) {
      guessed.textContent = "Move the slider to your guess first.";
      slider.focus();
      return;
    }
    keep(key, slider.value);
    reveal();
  });
  const before = recall(key);
  if (before === null) return;
  slider.value = before;
  isChosen = true;
  reveal();
}

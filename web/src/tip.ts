/** The one tip of a page: the numbers under the pointer, said to screen readers too. */

import { html } from "./dom.ts";

const GAP = 12;

export class Tip {
  readonly #box = html("div", { class: "tip", role: "status", hidden: "" });

  constructor(parent: HTMLElement) {
    parent.append(this.#box);
  }

  /** Lines of words beside a place on the screen; the first stands out. */
  show(lines: readonly string[], x: number, y: number): void {
    const [first = "", ...rest] = lines;
    this.#box.replaceChildren(html("b", {}, first), ...rest.map((line) => html("span", {}, line)));
    this.#box.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.#box;
    const left = x + GAP + width > innerWidth ? x - GAP - width : x + GAP;
    const top = y + GAP + height > innerHeight ? y - GAP - height : y + GAP;
    this.#box.style.left = `${Math.max(4, left)}px`;
    this.#box.style.top = `${Math.max(4, top)}px`;
  }

  hide(): void {
    this.#box.hidden = true;
  }
}

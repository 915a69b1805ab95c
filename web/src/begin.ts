/** What every page begins and ends its start with. */

import { theme } from "./theme.ts";

/** The theme, and the parts that only scripts bring to life. */
export function begin(follow?: () => void): void {
  for (const part of document.querySelectorAll<HTMLElement>(".scripted")) part.hidden = false;
  theme(document.getElementById("theme"), follow);
}

/** Tells whoever waits that the first screen is drawn. */
export function ready(): void {
  document.documentElement.dataset["ready"] = "";
}

/** The data of the page. */
export function pageData<T>(): T {
  return JSON.parse(document.getElementById("data")?.textContent ?? "null") as T;
}

/** An element that the template of the page has. */
export function part<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as E;
}

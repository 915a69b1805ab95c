/** Light or dark: as the system has it, until the button says otherwise. */

import { keep, recall } from "./keep.ts";

const KEPT = "unbend-theme";
const DARK = "(prefers-color-scheme: dark)";

export function isDark(): boolean {
  const said = document.documentElement.dataset["theme"];
  return said ? said === "dark" : matchMedia(DARK).matches;
}

/**
 * @param button names the other theme and changes to it.
 * @param follow called when the theme has changed: what is drawn on a canvas does not follow by itself.
 */
export function theme(button: HTMLElement | null, follow: () => void = () => undefined): void {
  const root = document.documentElement;
  const before = recall(KEPT);
  if (before) root.dataset["theme"] = before;
  const change = (): void => {
    if (button) button.textContent = isDark() ? "Light" : "Dark";
    follow();
  };
  matchMedia(DARK).addEventListener("change", change);
  if (!button) return;
  button.hidden = false;
  button.textContent = isDark() ? "Light" : "Dark";
  button.addEventListener("click", () => {
    root.dataset["theme"] = isDark() ? "light" : "dark";
    keep(KEPT, root.dataset["theme"]);
    change();
  });
}

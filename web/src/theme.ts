/** Light or dark: as the system has it, until the button says otherwise. */

const KEPT = "unbend-theme";

function read(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // no storage in a sandboxed frame
  }
}

function keep(theme: string): void {
  try {
    localStorage.setItem(KEPT, theme);
  } catch {
    // no storage in a sandboxed frame
  }
}

export function theme(button: HTMLElement | null): void {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = (): boolean => (root.dataset["theme"] ?? (dark.matches ? "dark" : "light")) === "dark";
  const kept = read();
  if (kept) root.dataset["theme"] = kept;
  if (!button) return;
  const name = (): void => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  name();
  dark.addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset["theme"] = isDark() ? "light" : "dark";
    keep(root.dataset["theme"]);
    name();
  });
}

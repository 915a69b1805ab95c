/** Buttons that copy the code beside them. */

const SAID = 2000;
/** Milliseconds in which a button tells that it is done. */

export function copying(): void {
  for (const press of document.querySelectorAll<HTMLButtonElement>("button.copy")) {
    press.addEventListener("click", () => { void copy(press); });
  }
}

async function copy(press: HTMLButtonElement): Promise<void> {
  const code = press.parentElement?.querySelector("code");
  if (!code) return;
  let isDone = true;
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
  } catch {
    getSelection()?.selectAllChildren(code); // a page from a file may not write: the old way, or the reader's own
    isDone = document.execCommand("copy");
  }
  press.textContent = isDone ? "Copied" : "Select and copy";
  setTimeout(() => { press.textContent = "Copy"; }, SAID);
}

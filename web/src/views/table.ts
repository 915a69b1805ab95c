/** Tables and lists of numbers: one that sorts by the column whose head is pressed, and those a long page carries as text until they are opened. */

import { html } from "../dom.ts";

type Key = string | number;

function key(row: HTMLTableRowElement, column: number, isNumber: boolean): Key {
  const cell = row.cells[column];
  return isNumber ? Number(cell?.dataset["value"]) : cell?.textContent?.trim() ?? "";
}

/** Rising order; a missing number comes last, whichever way. */
export function compare(a: Key, b: Key, isFalling: boolean): number {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return isFalling ? b - a : a - b;
  }
  const order = String(a).localeCompare(String(b), undefined, { numeric: true });
  return isFalling ? -order : order;
}

export function sortable(table: HTMLTableElement): void {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  const body = table.tBodies[0];
  if (!body) return;
  heads.forEach((head, column) => {
    const press = html("button", { type: "button" }, head.textContent ?? "");
    head.replaceChildren(press);
    press.addEventListener("click", () => {
      const isFalling = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isFalling ? "descending" : "ascending");
      const isNumber = head.dataset["sort"] === "number";
      const rows = [...body.rows].map((row) => [key(row, column, isNumber), row] as const);
      rows.sort(([a], [b]) => compare(a, b, isFalling));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

/** A table of lines of text, a tab between its columns; the first line holds the heads. */
export function unfold(text: string): HTMLElement {
  const [lines = "", note] = text.split("\n\n");
  const [head = [], ...rows] = lines.split("\n").map((line) => line.split("\t").map((cell) => cell.trim()));
  const table = html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table" }, html("table", {},
    html("thead", {}, html("tr", {}, ...head.map((cell) => html("th", { scope: "col" }, cell)))),
    html("tbody", {}, ...rows.map((row) => html("tr", {}, ...head.map((_, i) =>
      i ? html("td", {}, row[i] ?? "") : html("th", { scope: "row" }, row[i] ?? "")))))));
  return note ? html("div", {}, table, html("p", { class: "quiet" }, note.trim())) : table;
}

/** Lines of text, each a label, a number and what stands beside it, as the items of a list. */
export function items(text: string): HTMLElement[] {
  return text.split("\n").map((line) => {
    const [label = "", number = "", aside = ""] = line.split("\t");
    return html("div", {}, html("dt", {}, html("a", { href: "#numbers" }, label)),
      html("dd", {}, number, ...(aside ? [" ", html("small", {}, aside)] : [])));
  });
}

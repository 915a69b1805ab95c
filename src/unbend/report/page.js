"use strict";
(() => {
  const root = document.documentElement;
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;

  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  try { const kept = localStorage.getItem("unbend-theme"); if (kept) root.dataset.theme = kept; } catch { /* no storage */ }
  button.hidden = false;
  name();
  dark.addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("unbend-theme", root.dataset.theme); } catch { /* no storage */ }
    name();
  });

  const key = (row, at, kind) => {
    const cell = row.cells[at];
    return kind === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a - b;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const press = document.createElement("button");
      press.type = "button";
      press.textContent = head.textContent;
      head.replaceChildren(press);
      press.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, at, head.dataset.sort), row]);
        rows.sort(([a], [b]) => {
          const missing = Number.isNaN(a) || Number.isNaN(b);
          return down && !missing ? compare(b, a) : compare(a, b);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  const rules = document.createElement("style");
  document.head.append(rules);
  const forward = (index) => {
    rules.textContent = index === "" ? "" :
      `svg g[class^="class-"]{opacity:.07}svg g.class-${Number(index)}{opacity:1}`;
  };
  const presses = [...document.querySelectorAll("button[data-class]")];
  for (const press of presses) {
    press.addEventListener("click", () => {
      const on = press.getAttribute("aria-pressed") !== "true";
      for (const other of presses) other.setAttribute("aria-pressed", String(on && other === press));
      forward(on ? press.dataset.class : "");
    });
  }
  document.getElementById("class")?.addEventListener("change", (event) => forward(event.target.value));

  const layers = [...document.querySelectorAll("details.layer")];
  const unfold = document.getElementById("unfold");
  unfold?.addEventListener("click", () => {
    const open = layers.some((layer) => !layer.open);
    for (const layer of layers) layer.open = open;
    unfold.textContent = open ? "Close all layers" : "Open all layers";
  });
  const reveal = () => {
    const at = document.getElementById(location.hash.slice(1));
    if (at?.matches("details")) at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();

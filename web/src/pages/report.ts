/** A page, from its data: draws the views that come on the screen, links them, and sorts its table. */

import { begin, pageData, ready } from "../begin.ts";
import { Choices } from "../choice.ts";
import { Store, type Head, type LabelHead } from "../data.ts";
import { html } from "../dom.ts";
import { Lazy, type Slot } from "../lazy.ts";
import type { Page } from "../place.ts";
import { Tip } from "../tip.ts";
import { VIEWS } from "../views/index.ts";
import { items, sortable, unfold } from "../views/table.ts";

const ROOMLESS = 340;
/** Pixels across of a view in a closed part, when it is printed. */

function slot(host: HTMLElement, page: Page): Slot {
  const figure = page.figures[Number(host.dataset["figure"])];
  const view = figure && VIEWS[figure.view];
  let end = (): void => undefined;
  return {
    draw(): void {
      if (!figure || !view) return;
      const { width, height } = host.getBoundingClientRect();
      const ratio = Number(host.dataset["ratio"]) || 1.4;
      const wide = width || ROOMLESS;
      end = view(host, page.read<never>(figure), { width: wide, height: height || wide / ratio, layer: figure.layer, page });
    },
    release(): void {
      end();
      host.replaceChildren();
    },
  };
}

/** The numbers of a layer, which a long page carries as text. */
function numbers(host: HTMLElement): Slot {
  const text = host.textContent ?? "";
  return {
    draw(): void {
      host.classList.remove("text");
      host.replaceChildren(html("dl", { class: "numbers terse" }, ...items(text)));
    },
    release(): void {
      host.classList.add("text");
      host.textContent = text;
    },
  };
}

/** What the views share; of several yes/no labels one tells rows apart, which `tell` chooses. */
function viewsOf(head: Head): { readonly page: Page; readonly tell: (label: number) => void } {
  const store = new Store((block) => document.getElementById(`block-${block}`)?.textContent ?? "");
  let chosen: LabelHead | undefined;
  const page: Page = {
    ...head,
    get classes() { return chosen?.classes ?? head.classes; },
    choices: new Choices(),
    tip: new Tip(document.body),
    read: (figure) => store.read(chosen && "group" in figure.data ? { ...figure.data, group: chosen.group } : figure.data),
  };
  return { page, tell: (label) => { chosen = head.labels?.[label]; } };
}

/** The list of several yes/no labels, if the page has one; the buttons of the two classes follow it. */
function labels(head: Head, choose: (index: number) => void): void {
  const list = document.querySelector<HTMLSelectElement>("select#label");
  const follow = (): void => {
    const names = head.labels?.[Number(list?.value)]?.classes ?? head.classes;
    for (const press of document.querySelectorAll<HTMLElement>("button[data-class]")) {
      press.lastChild?.replaceWith(names[Number(press.dataset["class"])] ?? "");
    }
    choose(Number(list?.value));
  };
  list?.addEventListener("change", follow);
  if (list && !list.selectedOptions[0]?.defaultSelected) follow();
}

function classes(page: Page): void {
  const presses = [...document.querySelectorAll<HTMLElement>("button[data-class]")];
  for (const press of presses) {
    const index = Number(press.dataset["class"]);
    press.addEventListener("click", () => { page.choices.choose({ class: index }); });
    press.addEventListener("pointerenter", () => { page.choices.point({ class: index }); });
    press.addEventListener("pointerleave", () => { page.choices.point(); });
  }
  const list = document.querySelector<HTMLSelectElement>("select#class");
  list?.addEventListener("change", () => {
    page.choices.choose({ class: list.value === "" ? null : Number(list.value) });
  });
  page.choices.follow(() => {
    const chosen = page.choices.chosen.class;
    for (const press of presses) press.setAttribute("aria-pressed", String(Number(press.dataset["class"]) === chosen));
    if (list && list.value !== String(chosen ?? "")) list.value = String(chosen ?? "");
  });
}

/** Rows of the table and heads of the layers stand for layers too. */
function layers(page: Page): void {
  const marks = page.layers.map((head, layer) => {
    const row = document.querySelector<HTMLElement>(`tr[data-layer="${layer}"]`);
    row?.addEventListener("pointerenter", () => { page.choices.point({ layer }); });
    row?.addEventListener("pointerleave", () => { page.choices.point(); });
    return [row, document.querySelector<HTMLElement>(`#${head.anchor} > summary`)];
  });
  let lit = -1;
  page.choices.follow(({ layer }) => {
    const at = layer ?? -1;
    if (at === lit) return;
    for (const mark of marks[lit] ?? []) mark?.classList.remove("looked-at");
    for (const mark of marks[at] ?? []) mark?.classList.add("looked-at");
    lit = at;
  });
}

function folds(): void {
  const all = [...document.querySelectorAll<HTMLDetailsElement>("details.layer")];
  const unfold = document.getElementById("unfold");
  unfold?.addEventListener("click", () => {
    const isOpen = all.some((layer) => !layer.open);
    for (const layer of all) layer.open = isOpen;
    unfold.textContent = isOpen ? "Close all layers" : "Open all layers";
  });
  const reveal = (): void => {
    const at = document.getElementById(location.hash.slice(1));
    if (at instanceof HTMLDetailsElement) at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
}

/** A table that is carried as text becomes one when its part is opened. */
function tables(): void {
  document.addEventListener("toggle", ({ target }) => {
    const text = target instanceof HTMLDetailsElement ? target.querySelector(":scope > pre.table") : null;
    text?.replaceWith(unfold(text.textContent ?? ""));
  }, true);
}

function start(): void {
  tables();
  begin();
  for (const table of document.querySelectorAll<HTMLTableElement>("table.sortable")) sortable(table);
  folds();
  const head = pageData<Head | null>();
  if (!head) return ready();
  const { page, tell } = viewsOf(head);
  classes(page);
  layers(page);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    page.choices.clear();
    page.tip.hide();
  });
  const hosts = [...document.querySelectorAll<HTMLElement>("[data-figure]")];
  const texts = [...document.querySelectorAll<HTMLElement>(".numbers.text")];
  const slots = [...hosts.map((host) => [host, slot(host, page)] as const), ...texts.map((host) => [host, numbers(host)] as const)];
  const lazy = new Lazy(new Map(slots), ready);
  lazy.followWindow();
  labels(head, (index) => {
    tell(index);
    lazy.again();
  });
}

start();

/** The browser of units: cards of one layer, sorted, those of one class if wanted, a few at a time. */

import { begin, pageData, part, ready } from "../begin.ts";
import { html } from "../dom.ts";
import { BY_CLASS, Deck, ORDERS, type UnitsData } from "../views/card.ts";
import { count } from "../write.ts";

const PER_PAGE = 48;

/** Fills a list with words, each standing for its position. */
function offer(id: string, words: readonly string[]): HTMLSelectElement {
  const list = part<HTMLSelectElement>(id);
  list.append(...words.map((text, i) => html("option", { value: i }, text)));
  return list;
}

function start(data: UnitsData): void {
  const deck = new Deck(data);
  const layers = offer("layer", data.layers.map((layer) => `${layer.name} · ${count(layer.rate.length)} ${layer.kind}`));
  const isClassed = data.classes.length > 0;
  const names = Object.keys(ORDERS).filter((name) => isClassed || name !== BY_CLASS);
  const orders = offer("sort", names);
  const classes = offer("class", ["every class", ...data.classes.map((name) => `class ${name}`)]);
  classes.parentElement?.toggleAttribute("hidden", !isClassed);
  const [before, next] = [part<HTMLButtonElement>("before"), part<HTMLButtonElement>("next")];
  let page = 0;
  const show = (): void => {
    const layer = data.layers[Number(layers.value)];
    const order = layer ? ORDERS[names[Number(orders.value)] ?? ""]?.(layer) ?? [] : [];
    const wanted = Number(classes.value) - 1;
    const chosen = wanted < 0 ? order : order.filter((unit) => layer?.best[unit] === wanted);
    const pages = Math.max(1, Math.ceil(chosen.length / PER_PAGE));
    page = Math.max(0, Math.min(page, pages - 1));
    part("where").textContent = `${count(chosen.length)} of ${count(order.length)}, page ${page + 1} of ${pages}`;
    before.disabled = page === 0;
    next.disabled = page === pages - 1;
    const shown = chosen.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
    part("cards").replaceChildren(...(layer ? shown.map((unit) => deck.card(layer, unit)) : []));
  };
  const turn = (to: number): void => {
    page = to;
    show();
  };
  for (const list of [layers, orders, classes]) list.addEventListener("change", () => { turn(0); });
  before.addEventListener("click", () => { turn(page - 1); });
  next.addEventListener("click", () => { turn(page + 1); });
  begin(show);
  show();
  ready();
}

start(pageData<UnitsData>());

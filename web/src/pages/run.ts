/** The page of a training run: panels over its steps, and a slider through its snapshots that all of them follow. */

import { begin, pageData, part, ready } from "../begin.ts";
import { Choices } from "../choice.ts";
import { html } from "../dom.ts";
import { Lazy, type Slot } from "../lazy.ts";
import { Moment } from "../moment.ts";
import { Tip } from "../tip.ts";
import { key, panel, news, timeline, nameOf, valueAt, valueText, type Panel, type Run, type Shared } from "../views/panel.ts";
import { count } from "../write.ts";

/** A panel with its words, and the slot in which it is drawn. */
function figure(data: Panel, shared: Shared, parent: HTMLElement): [HTMLElement, Slot] {
  const host = html("div", { class: "plot panel", role: "img", tabindex: 0, "aria-label": `${data.title} over the steps. ${data.meaning}.` });
  parent.append(html("figure", {}, html("figcaption", {}, html("b", {}, data.title), ` ${data.meaning}.`), host, key(data, shared)));
  let end = (): void => undefined;
  return [host, {
    draw(): void {
      const { width, height } = host.getBoundingClientRect();
      end = panel(host, data, shared, { width: width || 340, height: height || 140 });
    },
    release(): void {
      end();
      host.replaceChildren();
    },
  }];
}

/** Every layer at the snapshot that is looked at. */
function table(run: Run, { moment, choices }: Shared): void {
  const rows = run.layers.map(([, module], i) => {
    const cells = run.panels.map((data) => [html("td", {}), data, data.curves.find((curve) => curve.layer === i)] as const);
    const row = html("tr", {}, html("th", { scope: "row", title: module }, nameOf(run, i)), ...cells.map(([cell]) => cell));
    row.onpointerenter = () => { choices.point({ layer: i }); };
    row.onpointerleave = () => { choices.point(); };
    return [row, cells] as const;
  });
  part("table").replaceChildren(
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "layer"),
      ...run.panels.map(({ title }) => html("th", { scope: "col" }, title)))),
    html("tbody", {}, ...rows.map(([row]) => row)));
  moment.follow((at) => {
    for (const [, cells] of rows) {
      for (const [cell, data, curve] of cells) cell.textContent = curve ? valueText(valueAt(curve.values, at), data) : "";
    }
  });
  choices.follow(({ layer }) => { rows.forEach(([row], i) => row.classList.toggle("looked-at", i === layer)); });
}

function start(run: Run): void {
  const moment = new Moment(run.steps.length);
  const shared: Shared = { run, moment, choices: new Choices(), tip: new Tip(document.body), colours: new Map() };
  const slots = [
    ...run.network.map((data) => figure(data, shared, part("network"))),
    ...run.panels.map((data) => figure(data, shared, part("panels"))),
  ];
  table(run, shared);
  timeline(part("line"), shared);
  const [slider, at, words] = [part<HTMLInputElement>("frame"), part("at"), part("said")];
  slider.max = String(run.steps.length - 1);
  slider.addEventListener("input", () => { moment.go(Number(slider.value)); });
  moment.follow((i) => {
    slider.value = String(i);
    at.textContent = count(run.steps[i] ?? 0);
    slider.setAttribute("aria-valuetext", `step ${at.textContent}`);
    words.textContent = news(run, i).join("  ·  ");
  });
  const lazy = new Lazy(new Map(slots), ready);
  lazy.followWindow();
}

begin();
const run = pageData<Run>();
if (run.steps.length) start(run);
else ready();

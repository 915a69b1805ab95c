/** The ladder: layer by layer from overlap to separable, with what each verdict is worth. */

import { px, svg } from "../dom.ts";
import { drawing } from "../frame.ts";
import { ofLayers, shorten } from "../names.ts";
import type { View } from "../place.ts";

export interface Ladder {
  readonly layers: readonly number[];
  readonly words: readonly string[];
  readonly remarks: readonly string[];
  readonly is_hollow: readonly boolean[];
  readonly is_worthless: readonly boolean[];
}

const SIDES: Readonly<Record<string, number>> = { overlap: 0, undecided: 0.5 };
const MARKS: Readonly<Record<string, string>> = {
  overlap: "m-5 -5l10 10m-10 0l10 -10", undecided: "m0 -7l7 7l-7 7l-7 -7z",
};
const DISC = "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z";
const LETTER = 6.2;

export const ladder: View<Ladder> = (host, data, place) => {
  const root = drawing(host, place);
  const names = ofLayers(data.layers.map((layer) => place.page.layers[layer]?.label ?? ""), place.width < 480 ? 14 : 24);
  const left = 12 + LETTER * Math.max(...names.map((name) => name.length), 1);
  const step = (place.height - 30) / Math.max(names.length, 1);
  const x = (share: number): number => left + 18 + share * (place.width - left - 36);
  const y = (i: number): number => (i + 0.5) * step;
  const side = (word: string): number => SIDES[word] ?? 1;
  root.append(svg("path", { class: "grid", d: names.map((_, i) => `M${px(left)} ${px(y(i))}H${px(place.width)}`).join("") }),
    svg("path", { class: "trail", d: data.words.map((w, i) => `${i ? "L" : "M"}${px(x(side(w)))} ${px(y(i))}`).join("") }));
  const rungs = data.words.map((word, i) => {
    const at = side(word);
    const anchor = at === 0 ? "start" : at === 1 ? "end" : "middle";
    const kind = at === 0 ? "overlap" : at === 1 ? "separable" : "undecided";
    const beside = x(at) + (at === 0 ? 12 : at === 1 ? -12 : 0);
    const said = word + (data.is_worthless[i] ? ", as are shuffled labels" : "");
    const rung = svg("g", { class: `rung ${kind}${data.is_hollow[i] ? " hollow" : ""}` },
      svg("text", { class: "axis", x: px(left - 8), y: px(y(i)), dy: ".32em", "text-anchor": "end" }, names[i] ?? ""),
      svg("path", { d: `M${px(x(at))} ${px(y(i))}${MARKS[kind] ?? DISC}` }),
      svg("text", { class: "said", x: px(beside), y: px(y(i) - 6), "text-anchor": anchor }, said),
      svg("text", { class: "remark", x: px(beside), y: px(y(i) + 15), "text-anchor": anchor },
        shorten(data.remarks[i] ?? "", Math.floor((place.width - left - 40) / LETTER))));
    rung.addEventListener("pointerenter", (event) => {
      place.page.choices.point({ layer: data.layers[i] ?? null });
      place.page.tip.show([place.page.layers[data.layers[i] ?? -1]?.label ?? "", said, data.remarks[i] ?? ""],
        event.clientX, event.clientY);
    });
    rung.addEventListener("pointerleave", () => { place.page.choices.point(); place.page.tip.hide(); });
    return rung;
  });
  root.append(...rungs,
    svg("text", { class: "axis", x: px(left), y: px(place.height - 8), "text-anchor": "start" }, "overlap"),
    svg("text", { class: "axis", x: px(place.width), y: px(place.height - 8), "text-anchor": "end" }, "separable"));
  return place.page.choices.follow(({ layer }) => {
    rungs.forEach((rung, i) => rung.classList.toggle("looked-at", layer !== null && data.layers[i] === layer));
  });
};

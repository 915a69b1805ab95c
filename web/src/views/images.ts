/** Small images of rows, each with its class below it. */

import { html } from "../dom.ts";
import type { View } from "../place.ts";

export interface Images {
  /** Grey from 0 to 255, image after image, row after row. */
  readonly pixels: Uint8Array;
  readonly shape: readonly [height: number, width: number];
  readonly ids: Int32Array;
  readonly classes: Int32Array;
  readonly names: readonly string[];
}

export const images: View<Images> = (host, data, place) => {
  const [height, width] = data.shape;
  const { choices, tip } = place.page;
  const all = data.names.map((name, i) => {
    const canvas = html("canvas", { width, height, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    if (context) {
      const image = context.createImageData(width, height);
      for (let k = 0; k < width * height; k++) {
        image.data.fill(data.pixels[i * width * height + k] ?? 0, 4 * k, 4 * k + 3);
        image.data[4 * k + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    }
    const box = html("span", { class: "image" }, canvas, html("span", {}, name));
    box.onpointerenter = (event) => {
      choices.point({ sample: data.ids[i] ?? null });
      tip.show([`row ${data.ids[i] ?? ""}`, name], event.clientX, event.clientY);
    };
    box.onpointerleave = () => {
      choices.point();
      tip.hide();
    };
    return box;
  });
  host.replaceChildren(html("span", { class: "images", "aria-hidden": "true" }, ...all));
  return choices.follow((now) => {
    all.forEach((box, i) => {
      box.classList.toggle("back", now.class !== null && now.class !== data.classes[i]);
      box.classList.toggle("looked-at", now.sample !== null && now.sample === data.ids[i]);
    });
  });
};

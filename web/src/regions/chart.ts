/** The map of regions on a canvas: faces, kinks, the decision boundary, samples, small pictures, axes, what is picked. */

import { html } from "../dom.ts";
import { between, css, ofName, ofClass, ofHex, type Colour } from "../palette.ts";
import { COLOURS } from "../place.ts";
import { isDark } from "../theme.ts";
import { decode, type Frame, type Pair, type Picture, type Regions, type Thumbnail } from "./data.ts";
import { around, coordinate, type Window } from "./window.ts";

/** What a reader wants to see. */
export interface Wishes {
  readonly kinks: boolean;
  readonly boundary: boolean;
  readonly points: boolean;
  readonly byClass: boolean;
  /** The face that is picked; -1 for none. */
  readonly pick: number;
}

const THUMBNAIL = 0.11;
/** Of the width of the map. */
const APART = 0.3;
/** Pixels between corners of an outline; nearer ones are left out, at which browsers draw holes. */

interface Ink {
  readonly dark: boolean;
  readonly ink: string;
  readonly paper: string;
  readonly mark: string;
  readonly classes: readonly Colour[];
}

function inks(): Ink {
  return {
    dark: isDark(), ink: css(ofName("ink")), paper: css(ofName("paper")), mark: css(ofName("vermilion")),
    classes: Array.from({ length: COLOURS }, (_, i) => ofClass(i)),
  };
}

export class Chart {
  readonly #context: CanvasRenderingContext2D;
  readonly #canvas: HTMLCanvasElement;
  readonly #data: Regions;
  readonly #ramp: readonly Colour[];
  readonly #thumbnails: readonly (readonly [Pair, HTMLCanvasElement])[];
  readonly #pictures = new Map<string, HTMLCanvasElement>();
  #ink: Ink = { dark: false, ink: "", paper: "", mark: "", classes: [] };

  constructor(canvas: HTMLCanvasElement, context: CanvasRenderingContext2D, data: Regions) {
    this.#canvas = canvas;
    this.#context = context;
    this.#data = data;
    this.#ramp = data.ramp.map(ofHex);
    this.#thumbnails = data.images.map((image) => [image.at, thumbnail(image)] as const);
  }

  draw(frame: Frame, seen: Window, wishes: Wishes): void {
    const dense = Math.min(2, devicePixelRatio || 1);
    const wanted = Math.round(this.#canvas.clientWidth * dense);
    if (this.#canvas.width !== wanted) [this.#canvas.width, this.#canvas.height] = [wanted, Math.round(wanted * seen.ratio)];
    this.#ink = inks();
    this.#context.clearRect(0, 0, wanted, this.#canvas.height);
    if (frame.carried.picture) this.#picture(frame.carried.picture, frame.carried.title, seen, wishes);
    else this.#faces(frame, seen, wishes.byClass);
    if (wishes.kinks) this.#kinks(frame, seen, dense, wishes.byClass);
    if (wishes.boundary) this.#boundary(frame, seen, dense);
    if (wishes.points) {
      this.#points(seen, dense);
      this.#images(seen, dense);
    }
    this.#axes(seen, dense);
    if (wishes.pick >= 0 && wishes.pick < frame.n) this.#picked(frame, wishes.pick, seen, dense);
  }

  get #size(): number {
    return this.#canvas.width;
  }

  /** The colour of a pattern, or of a class, the fuller the more units are past a kink. */
  #fill(kind: number, level: number): Colour {
    if (kind < 0) {
      const at = level * (this.#ramp.length - 1);
      const i = Math.max(0, Math.min(this.#ramp.length - 2, Math.floor(at)));
      return between(this.#ramp[i] ?? [0, 0, 0], this.#ramp[i + 1] ?? [0, 0, 0], at - i);
    }
    const { dark, classes } = this.#ink;
    const share = dark ? 0.5 - 0.34 * (level - 0.5) : 0.6 + 0.4 * (level - 0.5);
    return between(classes[kind % classes.length] ?? [0, 0, 0], dark ? [16, 18, 22] : [255, 255, 255], share);
  }

  #trace(xy: ArrayLike<number>, corners: Iterable<number>, seen: Window): void {
    let [before, above] = [NaN, NaN];
    this.#context.beginPath();
    for (const i of corners) {
      const [x, y] = seen.pixels(xy[2 * i] ?? NaN, xy[2 * i + 1] ?? NaN, this.#size);
      if (Math.abs(x - before) < APART && Math.abs(y - above) < APART) continue;
      this.#context.lineTo(x, y);
      [before, above] = [x, y];
    }
    this.#context.closePath();
  }

  #outline(frame: Frame, face: number, seen: Window): void {
    this.#trace(frame.xy, frame.corner.subarray(frame.ptr[face], frame.ptr[face + 1]), seen);
  }

  #paint(colour: Colour): void {
    this.#context.fillStyle = this.#context.strokeStyle = css(colour);
    this.#context.fill();
    this.#context.stroke();
  }

  #faces(frame: Frame, seen: Window, byClass: boolean): void {
    const [left, bottom, right, top] = seen.edges;
    const { box, level, parts } = frame;
    const kind = byClass ? frame.kind : null;
    this.#context.lineWidth = 0.6;
    for (let i = 0; i < frame.n; i++) {
      const o = 4 * i;
      if ((box[o] ?? 0) > right || (box[o + 2] ?? 0) < left || (box[o + 1] ?? 0) > top || (box[o + 3] ?? 0) < bottom) continue;
      if (kind && (kind[i] ?? 0) < 0) continue;
      this.#outline(frame, i, seen);
      this.#paint(this.#fill(kind?.[i] ?? -1, (level[i] ?? 0) / 255));
    }
    if (!kind || !parts) return;
    for (let p = 0; p + 1 < parts.ptr.length; p++) {
      const [start, end] = [parts.ptr[p] ?? 0, parts.ptr[p + 1] ?? 0];
      this.#trace(parts.xy, Array.from({ length: end - start }, (_, k) => start + k), seen);
      this.#paint(this.#fill(parts.kind[p] ?? -1, (level[parts.face[p] ?? 0] ?? 0) / 255));
    }
  }

  /** The whole window as pixels, coloured for the theme and the wish of the moment. */
  #picture(picture: Picture, title: string, seen: Window, { byClass, kinks }: Wishes): void {
    const name = [title, byClass, kinks, this.#ink.dark].join();
    const made = this.#pictures.get(name) ?? this.#coloured(picture, byClass, kinks);
    this.#pictures.set(name, made);
    const [left, bottom, right, top] = seen.whole;
    const [x0, y0] = seen.pixels(left, top, this.#size);
    const [x1, y1] = seen.pixels(right, bottom, this.#size);
    this.#context.imageSmoothingEnabled = false;
    this.#context.drawImage(made, x0, y0, x1 - x0, y1 - y0);
  }

  #coloured({ size: [height, width], level, kind, kink }: Picture, byClass: boolean, kinks: boolean): HTMLCanvasElement {
    const [levels, edges] = [decode(level), decode(kink)];
    const kinds = byClass && kind ? decode(kind) : null;
    const paper = this.#ink.dark || kinds ? ofName("ink") : ofName("paper");
    return paint(width, height, (i) => {
      const fill = this.#fill(kinds?.[i] ?? -1, (levels[i] ?? 0) / 255);
      return kinks && edges[i] ? between(fill, paper, 0.35) : fill;
    });
  }

  #kinks(frame: Frame, seen: Window, dense: number, byClass: boolean): void {
    const n = frame.edge.length / 2;
    const { dark, ink, paper } = this.#ink;
    const last = Math.max(1, this.#data.layers.length - 1);
    const weight = Math.min(1.6, Math.max(0.12, (26 / Math.sqrt(n)) * Math.sqrt(seen.magnified))) * dense;
    this.#data.layers.forEach((_, layer) => {
      const depth = layer / last;
      this.#context.strokeStyle = byClass || dark ? ink : paper;
      this.#context.globalAlpha = (0.75 - 0.4 * depth) * (dark ? 0.55 : 1);
      this.#context.lineWidth = weight * (1.35 - 0.8 * depth);
      this.#context.beginPath();
      for (let e = 0; e < n; e++) {
        if (frame.edge_layer[e] !== layer) continue;
        const [p, q] = [2 * (frame.edge[2 * e] ?? 0), 2 * (frame.edge[2 * e + 1] ?? 0)];
        this.#context.moveTo(...seen.pixels(frame.xy[p] ?? NaN, frame.xy[p + 1] ?? NaN, this.#size));
        this.#context.lineTo(...seen.pixels(frame.xy[q] ?? NaN, frame.xy[q + 1] ?? NaN, this.#size));
      }
      this.#context.stroke();
    });
    this.#context.globalAlpha = 1;
  }

  #boundary({ segments }: Frame, seen: Window, dense: number): void {
    this.#context.lineCap = "round";
    this.#twice([5, 2.4], dense, () => {
      for (let s = 0; s < segments.length; s += 4) {
        this.#context.moveTo(...seen.pixels(segments[s] ?? NaN, segments[s + 1] ?? NaN, this.#size));
        this.#context.lineTo(...seen.pixels(segments[s + 2] ?? NaN, segments[s + 3] ?? NaN, this.#size));
      }
    });
  }

  /** A line in ink on a wider one of paper, so that it stands out on every ground. */
  #twice(widths: Pair, dense: number, trace: () => void): void {
    const { ink, paper } = this.#ink;
    for (const [i, colour] of [paper, ink].entries()) {
      this.#context.strokeStyle = colour;
      this.#context.lineWidth = (widths[i] ?? 1) * dense;
      this.#context.beginPath();
      trace();
      this.#context.stroke();
    }
  }

  #points(seen: Window, dense: number): void {
    const points = this.#data.points ?? [];
    const { dark, ink, paper, classes } = this.#ink;
    const radius = Math.min(6, Math.max(2.4, 60 / Math.sqrt(points.length))) * dense;
    for (const [x, y, label] of points) {
      this.#context.beginPath();
      this.#context.arc(...seen.pixels(x, y, this.#size), radius, 0, 7);
      this.#context.fillStyle = label < 0 ? ink : css(between(classes[label % classes.length] ?? [0, 0, 0], [255, 255, 255], dark ? 0.3 : 0));
      this.#context.strokeStyle = paper;
      this.#context.lineWidth = 1.2 * dense;
      this.#context.fill();
      this.#context.stroke();
    }
  }

  /** The samples that the plane was laid through, beside their points, towards the edge of the window. */
  #images(seen: Window, dense: number): void {
    const [side, gap] = [THUMBNAIL * this.#size, 8 * dense];
    const [left, bottom, right, top] = seen.whole;
    const inside = (at: number, room: number, all: number): number => Math.max(2, Math.min(all - room - 2, at));
    this.#context.imageSmoothingEnabled = false;
    for (const [[x, y], image] of this.#thumbnails) {
      const [px, py] = seen.pixels(x, y, this.#size);
      const high = (side * image.height) / image.width;
      if (px < 0 || py < 0 || px > this.#size || py > this.#canvas.height) continue;
      const at = [
        inside(x > (left + right) / 2 ? px + gap : px - gap - side, side, this.#size),
        inside(y > (bottom + top) / 2 ? py - gap - high : py + gap, high, this.#canvas.height),
      ] as const;
      this.#context.drawImage(image, ...at, side, high);
      this.#context.strokeStyle = this.#ink.mark;
      this.#context.lineWidth = 1.5 * dense;
      this.#context.strokeRect(...at, side, high);
    }
  }

  /** Ticks along the left and the lower edge, at round coordinates of the plane. */
  #axes(seen: Window, dense: number): void {
    const context = this.#context;
    const [left, bottom, right, top] = seen.edges;
    const edge = 6 * dense;
    context.font = `${11 * dense}px system-ui, sans-serif`;
    context.lineJoin = "round";
    const word = (text: string, x: number, y: number): void => {
      context.strokeStyle = this.#ink.paper;
      context.lineWidth = 3 * dense;
      context.strokeText(text, x, y);
      context.fillStyle = this.#ink.ink;
      context.fillText(text, x, y);
    };
    const tick = (x: number, y: number, dx: number, dy: number): void => {
      this.#twice([3, 1.2], dense, () => {
        context.moveTo(x, y);
        context.lineTo(x + dx, y + dy);
      });
    };
    context.textAlign = "center";
    context.textBaseline = "bottom";
    for (const value of around(left, right)) {
      const [x] = seen.pixels(value, bottom, this.#size);
      if (x < 34 * dense || x > this.#size - 20 * dense) continue;
      tick(x, this.#canvas.height, 0, -edge);
      word(coordinate(value), x, this.#canvas.height - edge - 2 * dense);
    }
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (const value of around(bottom, top)) {
      const [, y] = seen.pixels(left, value, this.#size);
      if (y < 24 * dense || y > this.#canvas.height - 26 * dense) continue;
      tick(0, y, edge, 0);
      word(coordinate(value), edge + 3 * dense, y);
    }
    context.textBaseline = "top";
    word(`${this.#data.axes[0]} across, ${this.#data.axes[1]} up`, edge, edge);
  }

  #picked(frame: Frame, face: number, seen: Window, dense: number): void {
    for (const [colour, width] of [[this.#ink.paper, 5], [this.#ink.mark, 2.2]] as const) {
      this.#outline(frame, face, seen);
      this.#context.strokeStyle = colour;
      this.#context.lineWidth = width * dense;
      this.#context.stroke();
    }
  }
}

/** A canvas of its own, pixel by pixel. */
function paint(width: number, height: number, colour: (i: number) => Colour): HTMLCanvasElement {
  const made = html("canvas", { width, height });
  const context = made.getContext("2d");
  const image = context?.createImageData(width, height);
  if (!context || !image) return made;
  for (let i = 0; i < width * height; i++) image.data.set([...colour(i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  return made;
}

function thumbnail({ size: [height, width], grey }: Thumbnail): HTMLCanvasElement {
  const values = decode(grey);
  return paint(width, height, (i) => [values[i] ?? 0, values[i] ?? 0, values[i] ?? 0]);
}

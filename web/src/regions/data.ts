/** The cells of a plane as the page carries them, opened, and found by their place. */

import { bytesOf, type Numbers } from "../data.ts";

export type Pair = readonly [number, number];

const KINDS = {
  f4: Float32Array, f8: Float64Array, u4: Uint32Array, i4: Int32Array, u1: Uint8Array, i2: Int16Array,
} as const;

export interface Blob {
  readonly type: keyof typeof KINDS;
  readonly data: string;
}

/** One snapshot as it is carried. Corners of face `i` are `corner[ptr[i]]` to `corner[ptr[i + 1] - 1]`, points of `xy`. */
export interface Carried {
  readonly title: string;
  readonly n_faces: number;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly xy: Blob;
  readonly ptr: Blob;
  readonly corner: Blob;
  /** Kinks, as pairs of points, and the layer of each. */
  readonly edge: Blob;
  readonly edge_layer: Blob;
  /** How many units are past a kink, from 0 to 255. */
  readonly level: Blob;
  readonly area: Blob;
  readonly maps?: Blob;
  readonly bits?: Blob;
  /** Class of each face; -1 where the boundary runs through, whose parts follow. */
  readonly kind?: Blob;
  readonly segments?: Blob;
  readonly part_xy?: Blob;
  readonly part_ptr?: Blob;
  readonly part_kind?: Blob;
  readonly part_face?: Blob;
  readonly class_areas?: readonly number[];
  /** In place of outlines that are too many for a page: the same as pixels, row by row from the top. */
  readonly picture?: Picture;
}

export interface Picture {
  readonly size: readonly [height: number, width: number];
  readonly level: Blob;
  /** Class of each pixel. */
  readonly kind?: Blob;
  /** Where a kink lies between a pixel and the next. */
  readonly kink: Blob;
}

export interface Layer {
  readonly name: string;
  readonly n_units: number;
  /** Its first bit in a pattern, and how many bits a unit has. */
  readonly first: number;
  readonly n_rows: number;
}

export interface Thumbnail {
  readonly at: Pair;
  readonly size: readonly [height: number, width: number];
  readonly grey: Blob;
}

export interface Regions {
  readonly window: readonly [left: number, bottom: number, right: number, top: number];
  readonly axes: readonly [across: string, up: string];
  readonly layers: readonly Layer[];
  readonly n_maps: number;
  readonly n_bytes: number;
  /** Colours of patterns, from none to all units past a kink. */
  readonly ramp: readonly string[];
  readonly class_names: readonly string[];
  readonly points: readonly (readonly [x: number, y: number, label: number])[] | null;
  readonly images: readonly Thumbnail[];
  readonly frames: readonly Carried[];
}

export interface Frame {
  readonly carried: Carried;
  readonly n: number;
  readonly xy: Numbers;
  readonly ptr: Numbers;
  readonly corner: Numbers;
  readonly edge: Numbers;
  readonly edge_layer: Numbers;
  readonly level: Numbers;
  readonly area: Numbers;
  readonly maps: Numbers | null;
  readonly bits: Numbers | null;
  readonly kind: Numbers | null;
  readonly segments: Numbers;
  readonly parts: { readonly xy: Numbers; readonly ptr: Numbers; readonly kind: Numbers; readonly face: Numbers } | null;
  /** Left, bottom, right and top of each face. */
  readonly box: Float32Array;
}

export function decode({ type, data }: Blob): Numbers {
  return new KINDS[type](bytesOf(data));
}

export function frameOf(carried: Carried): Frame {
  const maybe = (blob: Blob | undefined): Numbers | null => (blob ? decode(blob) : null);
  const [part_xy, part_ptr, part_kind, part_face] =
    [carried.part_xy, carried.part_ptr, carried.part_kind, carried.part_face].map(maybe);
  const [xy, ptr, corner] = [decode(carried.xy), decode(carried.ptr), decode(carried.corner)];
  return {
    carried, n: carried.n_faces, xy, ptr, corner, edge: decode(carried.edge), edge_layer: decode(carried.edge_layer),
    level: decode(carried.level), area: decode(carried.area), maps: maybe(carried.maps), bits: maybe(carried.bits),
    kind: maybe(carried.kind), segments: maybe(carried.segments) ?? new Float32Array(),
    parts: part_xy && part_ptr && part_kind && part_face ? { xy: part_xy, ptr: part_ptr, kind: part_kind, face: part_face } : null,
    box: boxes(carried.n_faces, xy, ptr, corner),
  };
}

function boxes(n: number, xy: Numbers, ptr: Numbers, corner: Numbers): Float32Array {
  const out = new Float32Array(4 * n);
  for (let i = 0; i < n; i++) {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let k = ptr[i] ?? 0; k < (ptr[i + 1] ?? 0); k++) {
      const x = xy[2 * (corner[k] ?? 0)] ?? NaN;
      const y = xy[2 * (corner[k] ?? 0) + 1] ?? NaN;
      left = Math.min(left, x);
      bottom = Math.min(bottom, y);
      right = Math.max(right, x);
      top = Math.max(top, y);
    }
    out.set([left, bottom, right, top], 4 * i);
  }
  return out;
}

/** Finds the face that holds a place: faces are listed by the squares of a grid that their boxes touch. */
export class Finder {
  readonly #frame: Frame;
  readonly #window: Regions["window"];
  readonly #side: number;
  readonly #listed: number[][];

  constructor(frame: Frame, window: Regions["window"]) {
    this.#frame = frame;
    this.#window = window;
    this.#side = Math.max(1, Math.ceil(Math.sqrt(frame.n)));
    this.#listed = Array.from({ length: this.#side ** 2 }, () => []);
    for (let i = 0; i < frame.n; i++) {
      const [left = 0, bottom = 0, right = 0, top = 0] = frame.box.subarray(4 * i, 4 * i + 4);
      for (let p = this.#column(left); p <= this.#column(right); p++) {
        for (let q = this.#row(bottom); q <= this.#row(top); q++) this.#listed[p * this.#side + q]?.push(i);
      }
    }
  }

  /** The face at a place; -1 outside of all. Corners run against the clock, so a place inside lies left of every side. */
  at(x: number, y: number): number {
    let best = -1e-9 * (this.#window[2] - this.#window[0]);
    let found = -1;
    for (const i of this.#listed[this.#column(x) * this.#side + this.#row(y)] ?? []) {
      const depth = this.#depth(i, x, y);
      if (depth > best) [best, found] = [depth, i];
    }
    return found;
  }

  /** How far inside of a face a place lies, negative outside. */
  #depth(i: number, x: number, y: number): number {
    const { xy, ptr, corner } = this.#frame;
    const [start, end] = [ptr[i] ?? 0, ptr[i + 1] ?? 0];
    let least = Infinity;
    for (let k = start; k < end; k++) {
      const p = 2 * (corner[k] ?? 0);
      const q = 2 * (corner[k + 1 < end ? k + 1 : start] ?? 0);
      const [px, py] = [xy[p] ?? NaN, xy[p + 1] ?? NaN];
      const [across, up] = [(xy[q] ?? NaN) - px, (xy[q + 1] ?? NaN) - py];
      const length = Math.hypot(across, up);
      if (length > 0) least = Math.min(least, (across * (y - py) - up * (x - px)) / length);
    }
    return least;
  }

  #column(x: number): number {
    return this.#cell((x - this.#window[0]) / (this.#window[2] - this.#window[0]));
  }

  #row(y: number): number {
    return this.#cell((y - this.#window[1]) / (this.#window[3] - this.#window[1]));
  }

  #cell(share: number): number {
    return Math.min(this.#side - 1, Math.max(0, Math.floor(share * this.#side)));
  }
}

/** How many bits of each unit of a layer are set in the pattern of a face. */
export function states(frame: Frame, layer: Layer, face: number, n_bytes: number): number[] {
  const bit = (j: number): number => ((frame.bits?.[face * n_bytes + (j >> 3)] ?? 0) >> (7 - (j & 7))) & 1;
  return Array.from({ length: layer.n_units }, (_, unit) => {
    let n = 0;
    for (let row = 0; row < layer.n_rows; row++) n += bit(layer.first + row * layer.n_units + unit);
    return n;
  });
}

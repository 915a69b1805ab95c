/**
 * The data of a page: a head in JSON, and one base64 block for each layer, decoded when it is first asked for.
 *
 * An array in the head is `{"$": [block, kind, offset, length]}`; one of two columns is kept in 16 bits over the range
 * of each column: `{"$": [block, "u2", offset, length], "low": [x, y], "step": [x, y]}`, 65,535 standing for no value.
 */

export interface LayerHead {
  readonly name: string;
  readonly label: string;
  readonly anchor: string;
  readonly bends: boolean;
  /** Positions of the layers that feed it; null where that is not known. */
  readonly feeders: readonly number[] | null;
}

export interface Figure {
  readonly view: string;
  /** Position of the layer it is about; -1 for one that spans layers. */
  readonly layer: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One of several yes/no labels. */
export interface LabelHead {
  /** What rows without and with it are called. */
  readonly classes: readonly string[];
  /** Which of the two each row is, in the order of the rows of every figure. */
  readonly group: unknown;
}

export interface Head {
  readonly version: number;
  readonly layers: readonly LayerHead[];
  readonly classes: readonly string[];
  /** Several yes/no labels, where the page lets one choose among them. */
  readonly labels?: readonly LabelHead[];
  readonly figures: readonly Figure[];
}

export type Numbers = Float32Array | Float64Array | Int32Array | Uint32Array | Int16Array | Uint8Array;
type Kind = "f4" | "f8" | "i4" | "u1" | "u2";

interface Reference {
  readonly $: readonly [block: number, kind: Kind, offset: number, length: number];
  readonly low?: readonly number[];
  readonly step?: readonly number[];
}

const MISSING = 65535;

function isReference(value: unknown): value is Reference {
  return typeof value === "object" && value !== null && "$" in value;
}

/** The arrays of a page, by what the head says of them. */
export class Store {
  readonly #blocks = new Map<number, ArrayBuffer>();
  readonly #text: (block: number) => string;

  constructor(text: (block: number) => string) {
    this.#text = text;
  }

  /** `value` with every reference in it replaced by its array. */
  read<T>(value: unknown): T {
    return this.#read(value) as T;
  }

  #read(value: unknown): unknown {
    if (isReference(value)) return this.#array(value);
    if (Array.isArray(value)) return value.map((part) => this.#read(part));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.#read(part)]));
    }
    return value;
  }

  #array({ $: [block, kind, offset, length], low, step }: Reference): Numbers {
    const bytes = this.#block(block);
    if (kind === "f4") return new Float32Array(bytes, offset, length);
    if (kind === "f8") return new Float64Array(bytes, offset, length);
    if (kind === "i4") return new Int32Array(bytes, offset, length);
    if (kind === "u1") return new Uint8Array(bytes, offset, length);
    return unpack(new Uint16Array(bytes, offset, length), low ?? [0, 0], step ?? [1, 1]);
  }

  #block(index: number): ArrayBuffer {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const bytes = bytesOf(this.#text(index));
    this.#blocks.set(index, bytes);
    return bytes;
  }
}

/** The bytes of a text in base64. */
export function bytesOf(base64: string): ArrayBuffer {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

function unpack(packed: Uint16Array, low: readonly number[], step: readonly number[]): Float32Array {
  const columns = low.length;
  const out = new Float32Array(packed.length);
  packed.forEach((value, i) => {
    const column = i % columns;
    out[i] = value === MISSING ? NaN : (low[column] ?? 0) + value * (step[column] ?? 1);
  });
  return out;
}

/** What is pointed at and what is chosen, told to every view that is on the screen: the link between them. */

export interface Choice {
  /** Row number in the data set. */
  readonly sample: number | null;
  /** Position of a class. */
  readonly class: number | null;
  /** Position of a layer. */
  readonly layer: number | null;
  /** Unit of that layer. */
  readonly unit: number | null;
}

export type Kind = "sample" | "class" | "layer";
export type Listener = (now: Choice) => void;

const NOTHING: Choice = { sample: null, class: null, layer: null, unit: null };

/** What is pointed at goes before what was chosen, kind by kind. */
export class Choices {
  #pointed: Choice = NOTHING;
  #chosen: Choice = NOTHING;
  readonly #listeners = new Set<Listener>();

  get now(): Choice {
    const unit = this.#pointed.layer === null ? this.#chosen : this.#pointed;
    return {
      sample: this.#pointed.sample ?? this.#chosen.sample,
      class: this.#pointed.class ?? this.#chosen.class,
      layer: unit.layer,
      unit: unit.unit,
    };
  }

  get chosen(): Choice {
    return this.#chosen;
  }

  /** Point at something; at nothing without words. */
  point(what: Partial<Choice> = {}): void {
    this.#pointed = { ...NOTHING, ...what };
    this.#tell();
  }

  /** Choose something; what is chosen already is let go. */
  choose(what: Partial<Choice>): void {
    const same = (Object.keys(what) as (keyof Choice)[]).every((kind) => this.#chosen[kind] === what[kind]);
    const none = Object.fromEntries(Object.keys(what).map((kind) => [kind, null]));
    this.#chosen = { ...this.#chosen, ...(same ? none : what) };
    this.#tell();
  }

  clear(): void {
    this.#pointed = this.#chosen = NOTHING;
    this.#tell();
  }

  /** Calls `listener` now and at every change; the function that is returned ends it. */
  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    listener(this.now);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    const now = this.now;
    for (const listener of this.#listeners) listener(now);
  }
}

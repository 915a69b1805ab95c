/** The snapshot of a run that is looked at, told to everything that shows one. */

export class Moment {
  #at: number;
  readonly #n: number;
  readonly #listeners = new Set<(at: number) => void>();

  constructor(n: number) {
    this.#n = n;
    this.#at = n - 1;
  }

  get at(): number {
    return this.#at;
  }

  /** Go to a snapshot, or to the end that is nearer to it. */
  go(at: number): void {
    this.#at = Math.max(0, Math.min(this.#n - 1, at));
    for (const listener of this.#listeners) listener(this.#at);
  }

  /** Calls `listener` now and at every change; the function that is returned ends it. */
  follow(listener: (at: number) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#at);
    return () => this.#listeners.delete(listener);
  }
}

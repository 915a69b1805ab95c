/**
 * Draws what comes near the screen, a few milliseconds a frame, and lets go of what is far: a page of a thousand charts
 * scrolls like one of ten.
 */

const NEAR = "300px 0px";
const FAR = "300% 0px";
const BUDGET = 6;
/** Milliseconds of drawing in one frame. */
const REST = 120;
/** Milliseconds without a change of the width, before views are drawn again. */

export interface Slot {
  /** Draws into its element. */
  draw(): void;
  /** Empties its element, whose room stays. */
  release(): void;
}

export class Lazy {
  readonly #slots = new Map<Element, Slot>();
  readonly #drawn = new Set<Element>();
  readonly #near = new Set<Element>();
  readonly #observers: readonly IntersectionObserver[];
  readonly #onIdle: () => void;
  #request = 0;

  constructor(slots: ReadonlyMap<Element, Slot>, onIdle: () => void) {
    this.#slots = new Map(slots);
    this.#onIdle = onIdle;
    // In a frame of its own height everything would be on the screen: then the screen around it decides.
    const root = window.self === window.top ? document : null;
    const near = new IntersectionObserver((entries) => { this.#come(entries); }, { root, rootMargin: NEAR });
    const far = new IntersectionObserver((entries) => { this.#go(entries); }, { root, rootMargin: FAR });
    this.#observers = [near, far];
    for (const element of this.#slots.keys()) {
      near.observe(element);
      far.observe(element);
    }
  }

  /** Draw everything now, as before printing. */
  all(): void {
    for (const element of this.#slots.keys()) this.#draw(element);
  }

  /** Let go of what is not near, as after printing. */
  settle(): void {
    for (const element of [...this.#drawn]) if (!this.#near.has(element)) this.#release(element);
  }

  /** Draw again what is drawn: its room has another size. */
  again(): void {
    for (const element of [...this.#drawn]) {
      this.#release(element);
      if (this.#near.has(element)) this.#draw(element);
    }
  }

  /** Everything is drawn for print, and again where the window gets another width. */
  followWindow(): void {
    addEventListener("beforeprint", () => { this.all(); });
    addEventListener("afterprint", () => { this.settle(); });
    let { innerWidth: width } = window;
    let later = 0;
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      clearTimeout(later);
      later = window.setTimeout(() => { this.again(); }, REST);
    });
  }

  stop(): void {
    for (const observer of this.#observers) observer.disconnect();
    cancelAnimationFrame(this.#request);
  }

  #come(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#near.add(target);
      else this.#near.delete(target);
    }
    if (!this.#request) this.#request = requestAnimationFrame(() => { this.#work(); });
  }

  #go(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) if (!isIntersecting) this.#release(target);
  }

  #work(): void {
    this.#request = 0;
    const start = performance.now();
    for (const element of this.#near) {
      if (this.#drawn.has(element)) continue;
      if (performance.now() - start > BUDGET) {
        this.#request = requestAnimationFrame(() => { this.#work(); });
        return;
      }
      this.#draw(element);
    }
    this.#onIdle();
  }

  #draw(element: Element): void {
    if (this.#drawn.has(element)) return;
    this.#drawn.add(element);
    this.#slots.get(element)?.draw();
  }

  #release(element: Element): void {
    if (this.#drawn.delete(element)) this.#slots.get(element)?.release();
  }
}

/** A value that can be watched. What React sees of core/ goes through this; see hooks/useStore.ts. */
export class Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();
  readonly #onError: (error: unknown) => void;

  /** `onError`: what a listener throws. Absent: it goes to who has set the value. */
  constructor(initial: T, onError = rethrow) {
    this.#value = initial;
    this.#onError = onError;
  }

  get = (): T => this.#value;

  set(next: T): void {
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  /** Returns the function that ends the subscription. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };
}

function rethrow(error: unknown): void {
  throw error;
}

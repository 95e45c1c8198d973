// Short messages that stay for some seconds: "Ada Lovelace was added".
import { Store } from "../core/store";

export interface Notice {
  id: number;
  tone: "good" | "bad";
  text: string;
}

const SHOWN_MS = 6_000;

export class Notices {
  readonly items = new Store<readonly Notice[]>([]);
  #nextId = 1;

  add(tone: Notice["tone"], text: string): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.items.update((items) => [...items.slice(-2), { id, tone, text }]);
    setTimeout(() => this.dismiss(id), SHOWN_MS);
  }

  dismiss(id: number): void {
    this.items.update((items) => items.filter((item) => item.id !== id));
  }
}

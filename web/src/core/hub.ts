// One connection for the tabs of a browser; runs in the SharedWorker (worker.ts).
//
// The hub carries frames and keeps no positions: a tab's subscriptions live in the tab, which announces them again when
// the connection is new. Here their ids are made unique on the wire and led back. A tab that is gone is unsubscribed: it
// says so, or it has not answered for a minute; one that was only frozen is told, and joins again where it was.
import type { ClientFrameInit } from "./codec";
import type { EventBatch } from "../gen/events/v1/stream_pb";
import { ASK_EVERY_MS, type PortLike, type ToHub, type ToTab } from "./messages";
import { isPermanent, type Admission, type Frame, type Transport, type TransportOptions } from "./transport";

export type TabPort = PortLike<ToTab, ToHub>;

const MOST_SUBSCRIPTIONS = 32;
const SILENT_AFTER_MS = 60_000;
const ADMITTED_WITHIN_MS = 10_000;
const PROVE_EVERY_EVENTS = 1_000;
const MOST_UNPROVED_EVENTS = 10_000; // what waits, at most, in the queue of a tab that does not run

class Tab {
  readonly port: TabPort;
  /** The tab's ids of its subscriptions to those on the wire. */
  readonly wire = new Map<number, number>();
  hidden: boolean;
  heardAt = Date.now();
  posted = 0;
  proved = 0;
  asked = 0;

  constructor(port: TabPort, hidden: boolean) {
    this.port = port;
    this.hidden = hidden;
  }
}

export class Hub {
  readonly #connection: Transport;
  readonly #tabs = new Set<Tab>();
  readonly #owners = new Map<number, { tab: Tab; id: number }>();
  readonly #asks = new Map<number, { tab: Tab; settle: (answer: Admission | Error) => void }>();
  #welcome: Frame | undefined;
  #generation = 0;
  #nextWireId = 1;
  #nextAsk = 1;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(connect: (options: TransportOptions) => Transport) {
    this.#connection = connect({ admit: (refused) => this.#admit(refused), onFrame: (frame) => this.#distribute(frame) });
    this.#connection.state.subscribe(() => this.#stateChanged());
  }

  attach(port: TabPort): void {
    let tab: Tab | undefined;
    port.onmessage = ({ data }) => {
      if (data.do === "hello") {
        if (tab !== undefined) this.#forget(tab);
        tab = this.#greet(port, data.hidden);
      } else if (tab !== undefined && this.#tabs.has(tab)) {
        tab.heardAt = Date.now();
        this.#hear(tab, data);
      } else if (data.do !== "bye") {
        port.postMessage({ is: "gone", why: "silent" });
      }
    };
  }

  #greet(port: TabPort, hidden: boolean): Tab {
    const tab = new Tab(port, hidden);
    this.#tabs.add(tab);
    this.#timer ??= setInterval(() => this.#askAll(), ASK_EVERY_MS);
    this.#lookedAt();
    this.#tellState(tab);
    if (this.#welcome !== undefined) port.postMessage({ is: "frame", frame: this.#welcome });
    if (this.#connection.state.get().phase === "forbidden") this.#connection.retryNow(); // this tab may be let in
    else this.#connection.start();
    return tab;
  }

  #hear(tab: Tab, message: ToHub): void {
    switch (message.do) {
      case "frame":
        if (message.generation === this.#generation) this.#send(tab, message.frame);
        break;
      case "admission":
        this.#answer(tab, message.ask, message.admission);
        break;
      case "refusal":
        this.#answer(tab, message.ask, Object.assign(new Error("not admitted"), { permanent: message.permanent }));
        break;
      case "retry":
        this.#connection.retryNow();
        break;
      case "check":
        this.#connection.check();
        break;
      case "ask":
        this.#ask(tab);
        break;
      case "hidden":
        tab.hidden = message.hidden;
        this.#lookedAt();
        break;
      case "pong":
        tab.proved = Math.max(tab.proved, Math.min(message.posted, tab.posted));
        break;
      case "bye":
        this.#forget(tab);
        break;
      default:
    }
  }

  #lookedAt(): void {
    this.#connection.setHidden([...this.#tabs].every((tab) => tab.hidden));
  }

  #forget(tab: Tab): void {
    if (!this.#tabs.delete(tab)) return;
    for (const wireId of tab.wire.values()) {
      this.#owners.delete(wireId);
      this.#connection.send({ case: "unsubscribe", value: { id: wireId } });
    }
    for (const [ask, waiting] of this.#asks) if (waiting.tab === tab) this.#answer(tab, ask, new Error("the tab is gone"));
    this.#lookedAt();
    if (this.#tabs.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#connection.stop();
  }

  // --- from a tab to the server

  #send(tab: Tab, frame: ClientFrameInit): void {
    if (frame.case === "subscribe") this.#subscribe(tab, frame);
    else if (frame.case === "unsubscribe") this.#unsubscribe(tab, frame.value.id ?? 0);
    else this.#connection.send(frame);
  }

  #subscribe(tab: Tab, { value }: Extract<ClientFrameInit, { case: "subscribe" }>): void {
    if (this.#owners.size >= MOST_SUBSCRIPTIONS) {
      this.#forget(tab);
      tab.port.postMessage({ is: "gone", why: "full" });
      return;
    }
    const wireId = this.#nextWireId;
    this.#nextWireId += 1;
    if (!this.#connection.send({ case: "subscribe", value: { ...value, id: wireId } })) return;
    tab.wire.set(value.id ?? 0, wireId);
    this.#owners.set(wireId, { tab, id: value.id ?? 0 });
  }

  #unsubscribe(tab: Tab, id: number): void {
    const wireId = tab.wire.get(id);
    if (wireId === undefined) return;
    this.#release(wireId);
    this.#connection.send({ case: "unsubscribe", value: { id: wireId } });
  }

  #release(wireId: number): void {
    const owner = this.#owners.get(wireId);
    owner?.tab.wire.delete(owner.id);
    this.#owners.delete(wireId);
  }

  // --- from the server to the tabs

  #stateChanged(): void {
    this.#generation += 1;
    this.#welcome = undefined;
    this.#owners.clear();
    for (const tab of this.#tabs) {
      tab.wire.clear();
      this.#tellState(tab);
    }
  }

  #tellState(tab: Tab): void {
    tab.port.postMessage({ is: "state", generation: this.#generation, state: this.#connection.state.get() });
  }

  #distribute(frame: Frame): void {
    switch (frame.case) {
      case "welcome":
        this.#welcome = frame;
        this.#toAll(frame);
        break;
      case "events":
        this.#events(frame.value);
        break;
      case "subscribed":
      case "resyncRequired":
      case "error":
        this.#toOwner(frame);
        break;
      default:
        this.#toAll(frame);
    }
  }

  #toAll(frame: Frame): void {
    for (const tab of this.#tabs) tab.port.postMessage({ is: "frame", frame });
  }

  #toOwner(frame: Extract<Frame, { case: "subscribed" | "resyncRequired" | "error" }>): void {
    const wireId = frame.value.id;
    if (wireId === 0) return this.#toAll(frame);
    const owner = this.#owners.get(wireId);
    if (owner === undefined) return; // it has unsubscribed, or was never ours
    const over = frame.case === "error" || (frame.case === "resyncRequired" && frame.value.reason !== "lagging");
    if (over) this.#release(wireId);
    owner.tab.port.postMessage({ is: "frame", frame: { ...frame, value: { ...frame.value, id: owner.id } } as Frame });
  }

  #events(batch: EventBatch): void {
    for (const tab of [...this.#tabs]) {
      const ids = batch.ids.flatMap((wireId) => {
        const owner = this.#owners.get(wireId);
        return owner?.tab === tab ? [owner.id] : [];
      });
      if (batch.ids.length > 0 && ids.length === 0) continue;
      tab.port.postMessage({ is: "frame", frame: { case: "events", value: { ...batch, ids } } });
      this.#count(tab, batch.events.length);
    }
  }

  // --- is the tab there?

  #count(tab: Tab, events: number): void {
    tab.posted += events;
    if (tab.posted - tab.proved > MOST_UNPROVED_EVENTS) this.#leaveBehind(tab);
    else if (tab.posted - tab.asked >= PROVE_EVERY_EVENTS) this.#ask(tab);
  }

  #ask(tab: Tab): void {
    tab.asked = tab.posted;
    tab.port.postMessage({ is: "ping", posted: tab.posted });
  }

  #askAll(): void {
    for (const tab of [...this.#tabs]) {
      if (Date.now() - tab.heardAt > SILENT_AFTER_MS) this.#leaveBehind(tab);
      else this.#ask(tab);
    }
  }

  #leaveBehind(tab: Tab): void {
    this.#forget(tab);
    tab.port.postMessage({ is: "gone", why: "silent" }); // read when it runs again
  }

  // --- admission: by one of the tabs, for the hub has no token

  async #admit(refused: boolean): Promise<Admission> {
    let failure: unknown;
    const asked = new Set<Tab>();
    for (let tab = this.#next(asked); tab !== undefined; tab = this.#next(asked)) {
      asked.add(tab);
      try {
        return await this.#askForAdmission(tab, refused);
      } catch (error) {
        if (failure === undefined || isPermanent(failure)) failure = error; // one that may come to a token counts
      }
    }
    throw failure ?? new Error("no tab is there");
  }

  /** One that is looked at rather than one that is not. */
  #next(asked: ReadonlySet<Tab>): Tab | undefined {
    const others = [...this.#tabs].filter((tab) => !asked.has(tab));
    return others.find((tab) => !tab.hidden) ?? others[0];
  }

  #askForAdmission(tab: Tab, refused: boolean): Promise<Admission> {
    const ask = this.#nextAsk;
    this.#nextAsk += 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#answer(tab, ask, new Error("the tab does not answer")), ADMITTED_WITHIN_MS);
      const settle = (answer: Admission | Error): void => {
        clearTimeout(timer);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      this.#asks.set(ask, { tab, settle });
      tab.port.postMessage({ is: "admit", ask, refused });
    });
  }

  #answer(tab: Tab, ask: number, answer: Admission | Error): void {
    const waiting = this.#asks.get(ask);
    if (waiting?.tab !== tab) return;
    this.#asks.delete(ask);
    waiting.settle(answer);
  }
}

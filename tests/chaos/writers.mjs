// A writer knows what it wants and what must come of it: it alone touches its prospects, one command after the other, and
// sends each again with the same id until it has its 202.
import { setTimeout as sleep } from 'node:timers/promises';
import { random } from './random.mjs';

export class Writer {
  commands = []; // { commandId, kind, prospectId, body, expected, accepted, outcome }
  own = []; // { prospectId, version, email }
  running = true;

  constructor(client, seed, number) {
    this.client = client;
    this.number = number;
    this.dice = random(seed, `writer ${number}`);
    this.done = this.#run();
  }

  async #run() {
    while (this.running) {
      const command = this.#next();
      this.commands.push(command);
      if (!(await this.#send(command))) return;
      if (!(await this.#outcome(command))) return;
      this.#learn(command);
      await sleep(this.dice.below(30));
    }
  }

  #body(email) {
    const n = this.commands.length;
    return { firstName: `Chaos${this.number}`, lastName: `Row${n}`, email, phone: '', notes: this.dice.chance(0.5) ? `note ${n}` : '' };
  }

  #next() {
    const command = { commandId: this.dice.uuid(), accepted: false, expected: 'succeeded' };
    const email = `w${this.number}-${this.commands.length}@example.org`;
    if (!this.own.length || this.dice.chance(0.4)) return { ...command, kind: 'create', body: this.#body(email) };
    const one = this.dice.pick(this.own);
    if (this.dice.chance(0.1))
      return { ...command, kind: 'create', body: this.#body(one.email.toUpperCase()), expected: 'duplicate_email' };
    const stale = this.dice.chance(0.15);
    const match = stale ? `"${one.version + 7}"` : this.dice.chance(0.3) ? '*' : `"${one.version}"`;
    return { ...command, kind: 'update', prospectId: one.prospectId, match, body: this.#body(one.email), expected: stale ? 'version_conflict' : 'succeeded' };
  }

  /** False where it was given up: whether the command was accepted is then for its outcome to say. */
  async #send(command) {
    const { commandId, kind, prospectId, match } = command;
    const body = { ...command.body, commandId };
    for (; this.running; await sleep(40)) {
      const reply = await (kind === 'create'
        ? this.client.post('/api/prospects', body)
        : this.client.send('PUT', `/api/prospects/${prospectId}`, body, { 'if-match': match })).catch(() => undefined);
      if (reply?.status === 202) return (command.accepted = true);
      if (reply?.status === 401) await this.client.login().catch(() => {});
      else if (reply && reply.status !== 503 && reply.status !== 429) throw new Error(`writer ${this.number}: HTTP ${reply.status} ${reply.body}`);
    }
    return false;
  }

  /** What was given up is sent again, until it is accepted. */
  async insist() {
    this.running = true;
    for (const command of this.commands) if (!command.accepted) await this.#send(command);
    this.running = false;
  }

  async #outcome(command) {
    for (; this.running; await sleep(40)) if (await this.ask(command)) return true;
    return false;
  }

  /** True once the outcome is known. */
  async ask(command) {
    const reply = await this.client.get(`/api/commands/${command.commandId}`).catch(() => undefined);
    if (reply?.status === 401) await this.client.login().catch(() => {});
    if (reply?.status === 404) command.outcome = { status: 'unknown' };
    if (reply?.status !== 200 || reply.json.status === 'pending') return false;
    command.outcome = reply.json;
    return true;
  }

  #learn({ kind, prospectId, body, outcome }) {
    if (outcome.status !== 'succeeded') return;
    if (kind === 'create') this.own.push({ prospectId: Number(outcome.subject.split('/')[1]), version: 1, email: body.email });
    else this.own.find((one) => one.prospectId === prospectId).version++;
  }

  async stop() {
    this.running = false;
    await this.done;
  }
}

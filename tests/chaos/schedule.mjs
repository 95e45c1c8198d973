// What happens to whom, and when: a list that follows from the seed alone.
import { random } from './random.mjs';

export const PROGRAMS = ['gateway', 'prospects', 'relay', 'projection', 'grid'];

/** Actions { at, for, kind, ... } in ms from the start, ascending; each ends before the end. can: what this machine and this
 *  engine allow, of 'disk', 'clock', 'postgres', 'rabbitmq'. The network is always bad in one way or another. */
export function makeSchedule(seed, ms, can) {
  const dice = random(seed, 'schedule');
  const actions = [];
  const kinds = ['kill', 'kill', 'kill', 'stop', 'stop', 'network', 'network', 'killAll', ...can];
  for (let at = 500; ;) {
    at += 200 + dice.below(1300);
    const kind = dice.pick(kinds);
    const lasts = 100 + dice.below(kind === 'network' ? 4000 : 1500);
    if (at + lasts > ms) return actions;
    const action = { at, for: lasts, kind };
    if (kind === 'kill' || kind === 'stop') action.program = dice.pick(PROGRAMS);
    if (kind === 'postgres' || kind === 'rabbitmq') action.how = dice.pick(['stop', 'crash']);
    if (kind === 'clock') action.seconds = dice.below(241) - 120;
    if (kind === 'network')
      Object.assign(action, { to: dice.pick(['projection', 'gateway']), lose: dice.next() * 0.5, double: dice.next() * 0.5, delay: dice.next() * 0.5 });
    actions.push(action);
  }
}

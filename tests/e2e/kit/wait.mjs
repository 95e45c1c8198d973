// Waiting for what becomes true: looks again and again, up to a limit, and says what it was waiting for.
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

// Sanitizers make everything several times slower.
export const SLOW = /asan|tsan|sanitize/.test(process.env.EVENTS_BUILD ?? '') ? 4 : 1;
export const SHORT = process.env.EVENTS_E2E === 'short';

/** The first truthy value of look(); an Error after `ms` (times SLOW). */
export async function eventually(what, look, ms = 10000, pause = 20) {
  const end = Date.now() + ms * SLOW;
  let last;
  for (;;) {
    try {
      const value = await look();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${ms * SLOW} ms for ${what}; last: ${last?.stack ?? JSON.stringify(last)}`);
    await sleep(pause);
  }
}

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const LONGEST_ASKED_MS = 300_000;

/** The wait before attempt number `attempt` (0, 1, 2 ...): all of it by chance, below a limit that doubles up to 30 s. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return Math.round(Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16)) * random());
}

/** A wait the server asked for, stretched by up to a half so that its clients do not return all at once. */
export function withJitter(ms: number, random: () => number = Math.random): number {
  return Math.round(Math.min(ms, LONGEST_ASKED_MS) * (1 + random() / 2));
}

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** The wait before attempt number `attempt` (0, 1, 2 ...): doubling up to 30 s, with half of it left to chance. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(full * (0.5 + random() / 2));
}

/** A wait the server asked for, stretched by up to a half so that its clients do not return all at once. */
export function withJitter(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (1 + random() / 2));
}

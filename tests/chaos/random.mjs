// Chance that can be had again: everything that a run decides follows from its seed.

/** A generator of its own for each purpose, so that one that is asked more often does not change the others. */
export function random(seed, purpose) {
  let state = seed >>> 0;
  for (const c of purpose) state = Math.imul(state ^ c.charCodeAt(0), 0x01000193) >>> 0;
  const next = () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  const uuid = () => {
    const bytes = Array.from({ length: 16 }, () => below(256));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = bytes.map((b) => b.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  };
  return { next, below, uuid, chance: (p) => next() < p, pick: (list) => list[below(list.length)] };
}

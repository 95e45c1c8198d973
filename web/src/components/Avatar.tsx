const TONES = 6;

/** Initials on a tone that stays the same for the same prospect. */
export function Avatar({ id, firstName, lastName }: { id: number; firstName: string; lastName: string }) {
  const initials = [firstName, lastName].map((name) => [...name.trim()][0] ?? "").join("");
  return (
    <span className={`avatar tone-${id % TONES}`} aria-hidden="true">
      {initials.toUpperCase() || "?"}
    </span>
  );
}

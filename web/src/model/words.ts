// Names of the contract, and times, in words.

/** "ProspectCreated" -> "Prospect created", "firstName" -> "First name" */
export function humanName(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["minute", 60], ["hour", 3600], ["day", 86_400], ["week", 604_800], ["month", 2_629_800], ["year", 31_557_600],
];

export function timeAgo(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds < 45) return "just now";
  const step = STEPS.findLast(([, size]) => seconds >= size * 0.95) ?? ["minute", 60];
  return relative.format(-Math.max(1, Math.round(seconds / step[1])), step[0]);
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function fullTime(iso: string): string {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? "" : full.format(time);
}

// The rules of the contract's options, applied in the browser with the server's own codes and order:
// type, encoding, control characters, trimming and NFC, required, length in code points, pattern.
// One fault per field, all fields reported.
import type { FieldRule, MessageForm } from "../gen/forms";

export interface FieldCheck {
  /** As it would be sent: trimmed and composed. */
  value: string;
  /** undefined: nothing is wrong with it. */
  code: string | undefined;
}

export interface Fault {
  field: string;
  code: string;
}

export interface MessageCheck {
  values: Record<string, string>;
  faults: Fault[];
}

const CONTROL = /\p{Cc}/u;
const CONTROL_EXCEPT_TAB_AND_BREAKS = /[^\P{Cc}\t\n\r]/u;
const LONE_SURROGATE = /\p{Cs}/u;
const WHITE_SPACE = /^\p{White_Space}$/u;
const LABEL = /^[\p{L}\p{M}\p{Nd}-]+$/u;
const PHONE = /^[0-9 +\-().]{5,32}$/;
const WHOLE = /^-?\d{1,16}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const PATTERNS: Record<NonNullable<FieldRule["pattern"]>, { code: string; fits: (value: string) => boolean }> = {
  email: { code: "invalid_email", fits: isEmail },
  phone: { code: "invalid_phone", fits: isPhone },
  uuid: { code: "invalid_id", fits: (value) => UUID.test(value) },
  version: { code: "out_of_range", fits: (value) => value === "-1" || Number(value) >= 1 },
};

export function checkField(rule: FieldRule, input: unknown): FieldCheck {
  if (input === undefined || input === null) return { value: "", code: rule.required ? "required" : undefined };
  if (typeof input !== "string") return { value: "", code: "wrong_type" };
  if (rule.repeated) return checkLines(rule, input);
  if (isNumber(rule)) return checkNumber(rule, trimWhiteSpace(input));
  if (rule.type !== "string") return checkChoice(rule, input);
  const fault = checkCharacters(rule, input);
  if (fault !== undefined) return { value: input, code: fault };
  const value = (rule.trim ? trimWhiteSpace(input) : input).normalize("NFC");
  return { value, code: checkValue(rule, value) };
}

/** Checks a whole message. Members that the form does not have are faults too, as they are at the server. */
export function checkMessage(form: MessageForm, input: Readonly<Record<string, unknown>>): MessageCheck {
  const known = new Set(form.fields.map((rule) => rule.name));
  const faults: Fault[] = Object.keys(input)
    .filter((name) => !known.has(name))
    .map((field) => ({ field, code: "unknown_field" }));
  const values: Record<string, string> = {};
  for (const rule of form.fields) {
    if (rule.type === "message") continue; // openForm() has put its fields in its place
    const { value, code } = checkField(rule, input[rule.name]);
    values[rule.name] = value;
    if (code !== undefined) faults.push({ field: rule.name, code });
  }
  return { values, faults };
}

/** Is a fault of `field` ("guests[2]") about the field of this name? */
export function concerns(field: string, name: string): boolean {
  return field === name || field.startsWith(`${name}[`);
}

export function isNumber(rule: FieldRule): boolean {
  return rule.type === "id" || rule.type === "int64";
}

/** Of a number as it is typed in. */
function checkNumber(rule: FieldRule, value: string): FieldCheck {
  if (value === "") return { value, code: rule.required ? "required" : undefined };
  const number = WHOLE.test(value) ? Number(value) : Number.NaN;
  if (rule.type === "id") return { value, code: number >= 1 && Number.isSafeInteger(number) ? undefined : "invalid_id" };
  return { value, code: Number.isSafeInteger(number) ? checkValue(rule, value) : "wrong_type" };
}

/** Of a list as it is typed in, an item a line. */
function checkLines(rule: FieldRule, text: string): FieldCheck {
  const { repeated, ...item } = { ...rule, multiline: false };
  const checks = text.split("\n").map((line) => checkField(item, trimWhiteSpace(line))).filter(({ value }) => value !== "");
  return { value: checks.map(({ value }) => value).join("\n"), code: checks.find(({ code }) => code !== undefined)?.code };
}

/** Of what is chosen or switched: an enum, a time, a flag. */
function checkChoice(rule: FieldRule, value: string): FieldCheck {
  if (value === "") return { value, code: rule.required ? "required" : undefined };
  const wrong = rule.type === "enum" ? !rule.values?.includes(value) : rule.type === "timestamp" && Number.isNaN(Date.parse(value));
  return { value, code: wrong ? "wrong_type" : undefined };
}

function checkCharacters(rule: FieldRule, value: string): string | undefined {
  if (LONE_SURROGATE.test(value)) return "invalid_encoding";
  const control = rule.multiline ? CONTROL_EXCEPT_TAB_AND_BREAKS : CONTROL;
  return control.test(value) ? "invalid_characters" : undefined;
}

function checkValue(rule: FieldRule, value: string): string | undefined {
  if (value === "") return rule.required ? "required" : undefined;
  if (rule.maxLength !== undefined && codePoints(value) > rule.maxLength) return "too_long";
  if (rule.pattern === undefined) return undefined;
  const pattern = PATTERNS[rule.pattern];
  return pattern.fits(value) ? undefined : pattern.code;
}

/** Unicode White_Space at both ends, which is not quite what String.trim takes away (U+0085 yes, U+FEFF no). */
function trimWhiteSpace(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && WHITE_SPACE.test(value.charAt(start))) start += 1;
  while (end > start && WHITE_SPACE.test(value.charAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

export function codePoints(value: string): number {
  let count = 0;
  for (const _ of value) count += 1;
  return count;
}

function isEmail(value: string): boolean {
  const [local, domain, ...rest] = value.split("@");
  if (local === undefined || domain === undefined || rest.length > 0) return false;
  const size = codePoints(local);
  if (size < 1 || size > 64 || [...local].some((char) => WHITE_SPACE.test(char))) return false;
  const labels = domain.split(".");
  return labels.length >= 2 && labels.every(isLabel);
}

function isLabel(label: string): boolean {
  return LABEL.test(label) && codePoints(label) <= 63 && !label.startsWith("-") && !label.endsWith("-");
}

function isPhone(value: string): boolean {
  return PHONE.test(value) && value.replace(/[^0-9]/g, "").length >= 5;
}

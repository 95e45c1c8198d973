// A form for any command, made of its description alone: what a person is asked, and what is sent.
import { messageForms, type FieldRule, type MessageForm } from "../gen/forms";
import { isNumber } from "./validate";

/** Every command of the contract, by title. */
export const commandForms: readonly MessageForm[] = Object.values(messageForms)
  .filter((form) => form.kind === "command")
  .sort((a, b) => a.title.localeCompare(b.title, "en"));

/** "Whatever it is now", which is what somebody means who has not seen a version. */
const ANY_VERSION = -1;

/**
 * The same form with everything in it that has to be told. A form of its own (ProspectPanel) knows which entity it is
 * about and hides the id; here it is asked for. Versions and the command's id stay hidden: they are ours to fill in.
 * The fields of a part stand among the others under their paths ("place.street"), a list of texts is a text of lines.
 */
export function openForm(form: MessageForm): MessageForm {
  return { ...form, fields: form.fields.flatMap(openRule) };
}

function openRule(rule: FieldRule): FieldRule[] {
  if (rule.type === "message") return openPart(rule);
  if (rule.repeated) return [{ ...rule, widget: "textarea" }];
  return [isAsked(rule) ? { ...rule, widget: "text" } : rule];
}

/** A list of parts is nothing for a form. What an optional part must hold the server tells, once some of it is there. */
function openPart(part: FieldRule): FieldRule[] {
  if (part.repeated) return [];
  return (part.fields ?? []).flatMap((rule) =>
    openRule({
      ...rule,
      name: `${part.name}.${rule.name}`,
      label: `${part.label}: ${rule.label.charAt(0).toLowerCase()}${rule.label.slice(1)}`,
      required: part.required && rule.required,
    }),
  );
}

function isAsked(rule: FieldRule): boolean {
  return rule.widget === "hidden" && rule.required && rule.pattern !== "version";
}

type Body = Record<string, unknown>;

/** The command's JSON, of a form that openForm() made: numbers as numbers, nothing that was left empty. */
export function commandBody(form: MessageForm, values: Readonly<Record<string, string>>, commandId: string): Body {
  const body: Body = { commandId };
  for (const rule of form.fields) {
    const value = bodyValue(rule, values[rule.name] ?? "");
    if (value !== undefined) put(body, rule.name.split("."), value);
  }
  return body;
}

function bodyValue(rule: FieldRule, value: string): unknown {
  if (value === "") return rule.required && rule.pattern === "version" ? ANY_VERSION : undefined;
  if (rule.repeated) return value.split("\n");
  if (isNumber(rule)) return Number(value);
  if (rule.type === "bool") return value === "true";
  return rule.type === "timestamp" ? new Date(value).toISOString() : value;
}

function put(body: Body, path: string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) body[name] = value;
  else put((body[name] ??= {}) as Body, rest, value);
}

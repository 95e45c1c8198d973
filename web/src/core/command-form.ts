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
 */
export function openForm(form: MessageForm): MessageForm {
  return { ...form, fields: form.fields.map((rule) => (isAsked(rule) ? { ...rule, widget: "text" as const } : rule)) };
}

function isAsked(rule: FieldRule): boolean {
  return rule.widget === "hidden" && rule.required && rule.pattern !== "version";
}

/** The command's JSON: numbers as numbers, nothing that was left empty. */
export function commandBody(form: MessageForm, values: Readonly<Record<string, string>>, commandId: string): Record<string, unknown> {
  const body: Record<string, unknown> = { commandId };
  for (const rule of form.fields) {
    const value = values[rule.name] ?? "";
    if (value !== "") body[rule.name] = isNumber(rule) ? Number(value) : value;
    else if (rule.required && rule.pattern === "version") body[rule.name] = ANY_VERSION;
  }
  return body;
}

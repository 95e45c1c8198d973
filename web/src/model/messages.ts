// What the codes mean, in words for the person at the form. A code that is not here shows the server's own message.
import type { FieldRule } from "../gen/forms";

const WRONG_TYPE: Readonly<Partial<Record<FieldRule["type"], string>>> = {
  int64: "Enter a whole number.",
  timestamp: "Enter a date and a time.",
  enum: "Choose one of the values.",
};

const TEXT: Readonly<Record<string, (rule: FieldRule | undefined, said: string) => string>> = {
  required: (rule) => `${rule?.label ?? "This field"} is required.`,
  too_long: (rule) => `Use at most ${rule?.maxLength?.toLocaleString("en") ?? "fewer"} characters.`,
  invalid_email: () => "Enter an e-mail address such as ada@example.org.",
  invalid_phone: () => "Use 5 to 32 digits, spaces and + - ( ) . with at least 5 digits.",
  invalid_characters: () => "Control characters are not possible here.",
  invalid_encoding: () => "This text is damaged. Type it again.",
  invalid_id: (_, said) => (said === "" ? "Enter a number such as 12345." : sentence(said)),
  wrong_type: (rule) => WRONG_TYPE[rule?.type ?? "string"] ?? "This has to be text.",
  duplicate_email: () => "Another prospect already has this e-mail address.",
  version_conflict: () => "Somebody else changed this prospect in the meantime.",
  not_found: () => "This prospect no longer exists.",
  idempotency_conflict: () => "The same request was sent before with other values. Try again.",
};

export function faultText(code: string, rule: FieldRule | undefined, fallback = ""): string {
  return TEXT[code]?.(rule, fallback) ?? (fallback || `Not accepted (${code}).`);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

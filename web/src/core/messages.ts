// What the codes mean, in words for the person at the form. A code that is not here shows the server's own message.
import type { FieldRule } from "../gen/forms";

const TEXT: Readonly<Record<string, (rule: FieldRule | undefined) => string>> = {
  required: (rule) => `${rule?.label ?? "This field"} is required.`,
  too_long: (rule) => `Use at most ${rule?.maxLength?.toLocaleString("en") ?? "fewer"} characters.`,
  invalid_email: () => "Enter an e-mail address such as ada@example.org.",
  invalid_phone: () => "Use 5 to 32 digits, spaces and + - ( ) . with at least 5 digits.",
  invalid_characters: () => "Control characters are not possible here.",
  invalid_encoding: () => "This text is damaged. Type it again.",
  wrong_type: () => "This has to be text.",
  duplicate_email: () => "Another prospect already has this e-mail address.",
  version_conflict: () => "Somebody else changed this prospect in the meantime.",
  not_found: () => "This prospect no longer exists.",
  idempotency_conflict: () => "The same request was sent before with other values. Try again.",
};

export function faultText(code: string, rule: FieldRule | undefined, fallback = ""): string {
  return TEXT[code]?.(rule) ?? (fallback || `Not accepted (${code}).`);
}

/** Events carry an opaque id of who caused them, never a name. */
export function who(issuedBy: string, ownId: string): string {
  if (issuedBy === "") return "System";
  if (issuedBy === ownId) return "You";
  return `User ${issuedBy.slice(0, 8)}`;
}

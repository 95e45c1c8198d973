export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
        <rect width="32" height="32" rx="8" />
        <path d="M8 11h9M8 16h16M8 21h12" />
        <circle cx="22.5" cy="11" r="2.4" />
      </svg>
      Events
    </span>
  );
}

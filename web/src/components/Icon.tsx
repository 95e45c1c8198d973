const PATHS = {
  search: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13Zm4.8-1.7L20 20",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  alert: "M12 8.5v4.5M12 16.5v.1M12 3.5 2.8 19.5h18.4L12 3.5Z",
  check: "M5 12.5 10 17.5 19.5 7",
  people: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5c.6-3.2 3.2-5 6.5-5s5.9 1.8 6.5 5M16 5a3.2 3.2 0 0 1 0 6.3M18 14.8c1.9.7 3.1 2.4 3.5 4.7",
  activity: "M3 12h4l3-7 4 14 3-7h4",
  command: "M4 6.5l6 5.5-6 5.5M12.5 18H20",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

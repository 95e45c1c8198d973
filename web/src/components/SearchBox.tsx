import { Icon } from "./Icon";

interface Props {
  value: string;
  onChange: (value: string) => void;
}

export function SearchBox({ value, onChange }: Props) {
  return (
    <div className="search" role="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label="Search prospects"
        placeholder="Search by name or e-mail"
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

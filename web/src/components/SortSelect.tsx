import type { ProspectSort } from "../model/prospect";

const ORDERS: readonly { sort: ProspectSort; label: string; personal: boolean }[] = [
  { sort: "-createdAt", label: "Newest first", personal: false },
  { sort: "createdAt", label: "Oldest first", personal: false },
  { sort: "-updatedAt", label: "Last changed first", personal: false },
  { sort: "updatedAt", label: "Longest unchanged first", personal: false },
  { sort: "lastName", label: "Last name, A to Z", personal: true },
  { sort: "-lastName", label: "Last name, Z to A", personal: true },
  { sort: "email", label: "E-mail, A to Z", personal: true },
  { sort: "-email", label: "E-mail, Z to A", personal: true },
];

interface Props {
  value: ProspectSort;
  /** Without the right to see personal data, ordering by it is refused. */
  personal: boolean;
  onChange: (sort: ProspectSort) => void;
}

export function SortSelect({ value, personal, onChange }: Props) {
  return (
    <label className="sort select">
      <span className="visually-hidden">Order</span>
      <select value={value} onChange={(event) => onChange(event.target.value as ProspectSort)}>
        {ORDERS.filter((order) => personal || !order.personal).map((order) => (
          <option key={order.sort} value={order.sort}>
            {order.label}
          </option>
        ))}
      </select>
    </label>
  );
}

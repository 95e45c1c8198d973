import { memo } from "react";
import { fullName, type Prospect } from "../model/prospect";
import { Avatar } from "./Avatar";
import { Time } from "./Time";

interface Props {
  prospect: Prospect;
  /** The version that arrived a moment ago, if one did. Odd and even alternate so that the animation starts anew. */
  changedTo: number | undefined;
  onOpen: ((id: number) => void) | undefined;
}

export const ProspectRow = memo(function ProspectRow({ prospect, changedTo, onOpen }: Props) {
  const name = fullName(prospect) || `Prospect ${prospect.prospectId}`;
  const flash = changedTo === undefined ? undefined : changedTo % 2 === 0 ? "even" : "odd";
  return (
    <tr data-flash={flash} data-prospect={prospect.prospectId}>
      <td className="cell-name">
        <Avatar id={prospect.prospectId} firstName={prospect.firstName} lastName={prospect.lastName} />
        {onOpen === undefined ? (
          <span className="row-title">{name}</span>
        ) : (
          <button type="button" className="row-title" onClick={() => onOpen(prospect.prospectId)}>
            {name}
            <span className="visually-hidden">, edit</span>
          </button>
        )}
      </td>
      <td className="cell-email">{prospect.email || <span className="muted">–</span>}</td>
      <td className="cell-phone">{prospect.phone || <span className="muted">–</span>}</td>
      <td className="cell-time">
        <span className="cell-label">Added </span>
        <Time iso={prospect.createdAt} />
      </td>
      <td className="cell-time">
        <span className="cell-label">Changed </span>
        <Time iso={prospect.updatedAt} />
      </td>
    </tr>
  );
});

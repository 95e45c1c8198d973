import { humanName } from "../model/words";
import { useEventTypes } from "../hooks/useEventTypes";
import { useServices } from "../hooks/useServices";
import { useStore } from "../hooks/useStore";

/** Chooses which event types the activity panel subscribes to. The types come from the contract, by the server. */
export function EventTypePicker() {
  const { live } = useServices();
  const { data: types, isError, isPending, refetch } = useEventTypes();
  const chosen = useStore(live.chosenTypes);
  if (isPending) return <div className="picker" aria-busy="true"><span className="bone bone-chip" /><span className="bone bone-chip" /></div>;
  if (isError) {
    return (
      <p className="picker muted">
        The event types could not be loaded.{" "}
        <button type="button" className="link" onClick={() => void refetch()}>
          Try again
        </button>
      </p>
    );
  }
  const names = types.map((type) => type.name);
  const toggle = (name: string): void => {
    const now = chosen ?? names;
    const next = now.includes(name) ? now.filter((other) => other !== name) : [...now, name];
    live.chosenTypes.set(next.length === names.length ? undefined : next);
  };
  return (
    <fieldset className="picker">
      <legend className="visually-hidden">Event types to show</legend>
      {types.map((type) => (
        <label key={type.name} className="chip" title={describe(type)}>
          <input type="checkbox" checked={chosen?.includes(type.name) ?? true} onChange={() => toggle(type.name)} />
          {humanName(type.name)}
        </label>
      ))}
    </fieldset>
  );
}

function describe(type: { name: string; schemaVersion: string; fields: { name: string }[] }): string {
  return `${type.name} ${type.schemaVersion}: ${type.fields.map((field) => field.name).join(", ")}`;
}

import { useLayoutEffect, useRef, type ReactNode } from "react";
import { Icon } from "./Icon";

interface Props {
  title: string;
  subtitle?: ReactNode;
  /** A click beside the panel closes it only when nothing would be lost. */
  mayDismiss: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** A modal <dialog>: the browser keeps the focus inside, gives it back after, and closes on Escape. It gives it back
 *  only where the dialog is closed while it is still in the document: hence a layout effect. */
export function SidePanel({ title, subtitle, mayDismiss, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    element?.querySelector<HTMLElement>("input, select, textarea")?.focus();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="panel"
      aria-labelledby="panel-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current && mayDismiss) onClose();
      }}
    >
      <div className="panel-body">
        <header className="panel-header">
          <div>
            <h2 id="panel-title">{title}</h2>
            {subtitle && <p className="muted">{subtitle}</p>}
          </div>
          <button type="button" className="button-icon" aria-label="Close panel" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

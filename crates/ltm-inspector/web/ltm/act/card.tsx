// One thing to do: what it is, a button, and the command for the same.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { Icon } from '../../components/icon.js';
import { copy } from '../../elements/clipboard.js';
import { commandOf, commandsOf, make, type Call } from '../../wire/calls.js';

export function Card({ title, text, children }: { title: string; text?: string; children: ComponentChildren }) {
  return <section class="card"><h2>{title}</h2>{text && <p class="muted">{text}</p>}{children}</section>;
}

interface ButtonProps<Answer> {
  label: string;
  call: Call;
  /** The call that `done` makes next, of a copy by its id. */
  next?: ((id: string) => Call) | undefined;
  disabled?: boolean;
  danger?: boolean;
  /** What to do with the answer. While it runs, the button waits. */
  done(answer: Answer): void | Promise<void>;
}

/** A button that makes a call, the command for the same, and what went wrong. */
export function Button<Answer>({ label, call, next, disabled = false, danger = false, done }: ButtonProps<Answer>) {
  const busy = useSignal(false);
  const wrong = useSignal('');
  // An error is about the call that was made, not about another one.
  useEffect(() => void (wrong.value = ''), [call.path.split('?')[0], JSON.stringify(call.body)]);
  const act = async () => {
    busy.value = true;
    wrong.value = '';
    try {
      await done(await make<Answer>(call));
    } catch (error) {
      wrong.value = sentenceOf(error as Error & { status?: number });
    } finally {
      busy.value = false;
    }
  };
  return (
    <>
      <div class="actions">
        <button class={danger ? 'primary danger' : 'primary'} disabled={disabled || busy.value} onClick={act}>{label}</button>
        <button class="quiet" disabled={disabled} onClick={() => copy(next ? commandsOf(call, next) : commandOf(call), 'Command')}><Icon name="terminal" />Copy as curl</button>
      </div>
      <p class="wrong" role="alert">{wrong.value}</p>
    </>
  );
}

function sentenceOf(error: Error & { status?: number }): string {
  if (error.status === 403) return `The token of this tab may not do this: ${error.message}.`;
  if (error.status === 412) return 'The LTM moved on, and nothing was done. Look at what is there now, and press again.';
  return `${error.message}.`.replace(/\.\.$/, '.');
}

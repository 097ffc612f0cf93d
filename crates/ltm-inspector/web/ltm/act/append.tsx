// Edits the state by hand: shows the patch first, then appends it.

import { useSignal } from '@preact/signals';
import type { JsonObject } from 'ltm-live';
import { pretty } from '../../data/json.js';
import { toast } from '../../elements/toast.js';
import { append, patchTo, textOf, type Place } from './actions.js';
import { Button, Card } from './card.js';
import type { Acts, Model } from '../model.js';

/** Longer texts are no pleasure in a field. */
const LONGEST = 400_000;
const TOO_LONG = 'The state is too large to edit here: use the command ltm append.';

interface Draft {
  /** What was edited: the patch is from here. */
  state: JsonObject;
  place: Place;
  text: string;
}

export function Append({ model, place, acts }: { model: Model; place: Place; acts: Acts }) {
  const draft = useSignal<Draft | null>(null);
  const patch = useSignal<readonly object[] | string | null>(null);
  const reason = useSignal('manual');
  const long = useSignal(false);
  const begin = () => {
    const text = textOf(model.view.state);
    long.value = text.length > LONGEST;
    if (long.value) return;
    draft.value = { state: model.view.state, place, text };
    patch.value = null;
  };
  const edited = draft.value;
  if (edited === null) {
    return (
      <Card title="Append a snapshot" text="Edit the latest state. You see the patch before it is appended.">
        <div class="actions"><button class="quiet" onClick={begin}>Edit the state</button></div>
        {long.value && <p class="wrong" role="alert">{TOO_LONG}</p>}
      </Card>
    );
  }
  const moved = edited.place.cursor !== place.cursor;
  const made = patch.value;
  return (
    <Card title="Append a snapshot">
      <textarea aria-label="State" rows={14} spellcheck={false} value={edited.text} onInput={(event) => {
        draft.value = { ...edited, text: event.currentTarget.value };
        patch.value = null;
      }} />
      <label class="field">Reason<input value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} /></label>
      <div class="actions">
        <button class="quiet" onClick={() => (patch.value = patchTo(edited.state, edited.text))}>Show the patch</button>
        <button class="quiet" onClick={() => (draft.value = null)}>Cancel</button>
        {moved && <button class="quiet" onClick={begin}>Begin again from the latest state</button>}
      </div>
      {long.value && <p class="wrong" role="alert">{TOO_LONG}</p>}
      {moved && <p class="wrong" role="status">The LTM moved on since you began.</p>}
      {typeof made === 'string' && <p class="wrong" role="alert">{made}</p>}
      {Array.isArray(made) && (made.length === 0
        ? <p class="hint small">The state is as it was: there is nothing to append.</p>
        : (
          <>
            <pre class="block" tabIndex={0} aria-label="Patch">{pretty(made)}</pre>
            <Button label="Append" disabled={moved} call={append(edited.place, made, reason.value)} done={() => {
              draft.value = null;
              acts.pick(null);
              toast('Appended');
            }} />
          </>
        ))}
    </Card>
  );
}

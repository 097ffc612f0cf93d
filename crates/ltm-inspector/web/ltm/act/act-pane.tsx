// Has an LTM do something: go back, copy, append, delete. Each with the command that does the same.

import { useSignal } from '@preact/signals';
import { ltmLink } from '../../app/router.js';
import { count } from '../../data/json.js';
import { preactPane, type Pane } from '../../elements/preact-pane.js';
import { toast } from '../../elements/toast.js';
import { ask } from '../../wire/api.js';
import { make } from '../../wire/calls.js';
import { plain } from '../../wire/digits.js';
import type { Acts, Model } from '../model.js';
import { copyOf, endAt, remove, rollBack, undo } from './actions.js';
import { Append } from './append.js';
import { Button, Card } from './card.js';
import { wholeDocument } from './document.js';
import { MarkErrors } from './mark-errors.js';

export function pane(acts: Acts): Pane<Model> {
  return preactPane(Act, { className: 'act', label: 'Act', acts });
}

function Act({ model, acts }: { model: Model; acts: Acts }) {
  const { view, index, last } = model;
  const place = { id: String(view.id), cursor: String(view.cursor) };
  const rollbacks = view.firstRollback + view.rollbacks.length;
  if (view.status === 'deleted') return <p class="hint">This LTM was deleted. Nothing can be done with it any more.</p>;
  return (
    <>
      <p class="hint small">What you do here is for everybody. It needs a token that may write; if the LTM moves on before you press a button, nothing happens. A copy has what you see, even if the LTM moved on.</p>
      <Card title={`Roll back to snapshot ${index}`} text={index < last ? `Takes out ${count(last - index, 'snapshot')}: ${index + 1} to ${last}. The log keeps them, and the rollback can be undone.` : 'You see the latest snapshot: choose an earlier one to go back to.'}>
        <Button label="Roll back" disabled={index >= last} call={rollBack(place, index)} done={() => {
          acts.pick(null);
          toast(`Rolled back to snapshot ${index}`);
        }} />
      </Card>
      {rollbacks > 0 && (
        <Card title="Undo the last rollback" text="Brings back the history as it was before, without what was appended since.">
          <Button label={`Undo rollback ${rollbacks - 1}`} call={undo(place, rollbacks - 1)} done={() => {
            acts.pick(null);
            toast('The rollback is undone');
          }} />
        </Card>
      )}
      <Copy place={place} index={index} last={last} />
      <MarkErrors errors={view.errors} place={place} />
      <Append model={model} place={place} acts={acts} />
      <Download id={place.id} />
      <Delete place={place} name={String(view.name ?? '')} snapshots={Number(view.snapshotsCount)} />
    </>
  );
}

function Copy({ place, index, last }: { place: { id: string; cursor: string }; index: number; last: number }) {
  const earlier = index < last;
  const next = earlier ? (id: string) => endAt(id, index) : undefined;
  const done = async ({ copy_id: copied }: { copy_id: number | string }) => {
    const id = plain(copied);
    if (next) await make(next(id)).catch((error: Error) => {
      throw new Error(`LTM ${id} is the copy, but it has all snapshots: ${error.message}`);
    });
    toast(`Copied: LTM ${id} in the playground`);
    location.hash = ltmLink(id);
  };
  return (
    <Card title={earlier ? `Copy up to snapshot ${index}` : 'Copy to the playground'} text={`Makes an LTM of the playground with this history${earlier ? `, and rolls it back to snapshot ${index}` : ''}. This one stays as it is.`}>
      <Button label={earlier ? 'Copy up to here' : 'Copy'} call={copyOf(place)} next={next} done={done} />
    </Card>
  );
}

/** The document as a file, as `ltm import` takes it. */
function Download({ id }: { id: string }) {
  const wrong = useSignal('');
  const act = async () => {
    wrong.value = '';
    try {
      const text = await wholeDocument(async (query) => (await ask(`ltm/${id}?${query}`)).text());
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
      link.download = `ltm-${id}.json`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      wrong.value = (error as Error).message;
    }
  };
  return (
    <Card title="Download" text="The document with its history, as JSON.">
      <div class="actions"><button class="quiet" onClick={act}>Download ltm-{id}.json</button></div>
      <p class="wrong" role="alert">{wrong.value}</p>
    </Card>
  );
}

function Delete({ place, name, snapshots }: { place: { id: string; cursor: string }; name: string; snapshots: number }) {
  const typed = useSignal('');
  return (
    <Card title="Delete" text={`Deletes ${name || 'this LTM'} and its ${count(snapshots, 'snapshot')} for ever. Its id is never given again.`}>
      <label class="field">Type {place.id} to confirm<input value={typed.value} autocomplete="off" onInput={(event) => (typed.value = event.currentTarget.value)} /></label>
      <Button label="Delete for ever" danger disabled={typed.value.trim().replace(/^#/, '') !== place.id} call={remove(place)} done={() => toast(`LTM ${place.id} is deleted`)} />
    </Card>
  );
}

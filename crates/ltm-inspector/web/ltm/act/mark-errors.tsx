// Says what became of an error: it is tried again, it recovered, or it failed for good.

import { latestOf, nameOf, outcomeOf } from '../../data/errors.js';
import { moment } from '../../data/time.js';
import { toast } from '../../elements/toast.js';
import type { Model } from '../model.js';
import { markError, type Place } from './actions.js';
import { Button, Card } from './card.js';

/** The errors to offer: the last ones. */
const MOST = 5;

const MARKS = {
  retrying: { label: 'Mark as retrying', retrying: true, success: false },
  failed: { label: 'Mark as failed', retrying: false, success: false },
  recovered: { label: 'Mark as recovered', retrying: false, success: true },
};

export function MarkErrors({ errors, place }: { errors: Model['view']['errors']; place: Place }) {
  const open = errors.filter((it) => !it.success).sort((a, b) => (moment(latestOf(b)) || 0) - (moment(latestOf(a)) || 0));
  if (open.length === 0) return null;
  return (
    <Card title="Mark an error" text="Records what became of an error. An engine that reads it may act; nothing is run from here.">
      {open.slice(0, MOST).map((error) => {
        const [word, status] = outcomeOf(error);
        const marks = error.retrying ? [MARKS.recovered, MARKS.failed] : [MARKS.retrying, MARKS.recovered];
        return (
          <div class="marks" role="group" aria-label={nameOf(error)} key={error.id}>
            <p><strong>{nameOf(error)}</strong> <span class="badge" data-status={status}><i class="dot" aria-hidden="true" />{word}</span></p>
            {marks.map((mark) => <Button key={mark.label} label={mark.label} call={markError(place, error.id, mark)} done={() => toast(`${nameOf(error)}: ${mark.label.replace('Mark as ', '')}`)} />)}
          </div>
        );
      })}
      {open.length > MOST && <p class="hint small">The last {MOST} of {open.length}. For the others, use the command of one of these with another id.</p>}
    </Card>
  );
}

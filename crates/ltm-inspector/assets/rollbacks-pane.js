// The rollbacks of an LTM, and the snapshots that each one took out of the history.

import { copyButton } from './clipboard.js';
import { address } from './api.js';
import { curl } from './curl.js';
import { h } from './dom.js';
import { count } from './json.js';
import { titleOf } from './steps.js';
import { clockTime, fullTime } from './time.js';

const MOST = 50;
const MOST_STEPS = 200;
const WORDS = { manual: 'Rolled back', replay: 'Rolled back to replay', 'recover rollback': 'Rollback undone' };

export class RollbacksPane {
  constructor() {
    this.element = h('div', { class: 'scroll rollbacks', tabindex: '0', role: 'region', 'aria-label': 'Rollbacks' });
  }

  update({ view }) {
    const { rollbacks } = view;
    if (rollbacks === this.rollbacks) return;
    this.rollbacks = rollbacks;
    if (rollbacks.length === 0) {
      const example = `ltm rollback ${view.id} --to 5`;
      this.element.replaceChildren(h('p', { class: 'hint' }, 'This LTM was never rolled back. To go back to a snapshot: ', h('code', {}, example)));
      return;
    }
    const first = rollbacks.length > MOST ? rollbacks.length - MOST : 0;
    this.element.replaceChildren(
      h('ul', {}, rollbacks.slice(first).map((it, i) => card(view.id, it, view.firstRollback + first + i)).reverse()),
      first > 0 ? h('p', { class: 'hint small' }, `and ${count(first, 'older rollback')}`) : '');
  }
}

function card(id, rollback, number) {
  const taken = Array.isArray(rollback.snapshots) ? rollback.snapshots : null;
  const step = (snapshot, i) => h('li', {}, h('span', { class: 'number' }, String((rollback.first_index ?? 0) + i)), h('span', {}, titleOf(snapshot)), h('span', { class: 'muted' }, snapshot.reason), h('time', {}, clockTime(snapshot.time)));
  return h('li', { class: 'card' },
    h('div', { class: 'card-head' },
      h('span', { class: 'number' }, `#${number}`), h('strong', {}, WORDS[rollback.reason] ?? String(rollback.reason)),
      h('time', { title: fullTime(rollback.time) }, fullTime(rollback.time))),
    taken === null ? null : h('details', {},
      h('summary', {}, `History before the rollback: ${count(taken.length, 'snapshot')}`),
      h('ol', { class: 'mini-steps' }, taken.slice(0, MOST_STEPS).map(step)),
      taken.length > MOST_STEPS ? h('p', { class: 'hint small' }, `and ${count(taken.length - MOST_STEPS, 'more snapshot')}`) : null),
    h('div', { class: 'card-foot' },
      copyButton('Copy snapshots as curl', () => curl(address(`ltm/${id}/snapshots?rollback=${number}`)), 'Command'),
      copyButton('Copy undo command', () => `ltm rollback ${id} --undo ${number}`, 'Command')));
}

// The rollbacks of an LTM, and the snapshots that each one took out of the history. Both are fetched when they are shown.

import { address, ask } from '../../wire/api.js';
import { copyButton } from '../../elements/clipboard.js';
import { curl } from '../../wire/curl.js';
import { h } from '../../elements/dom.js';
import { count } from '../../data/json.js';
import { titleOf } from '../../data/steps.js';
import { clockTime, fullTime } from '../../data/time.js';

const MOST = 50;
const MOST_STEPS = 200;
const WORDS = { manual: 'Rolled back', replay: 'Rolled back to replay', 'recover rollback': 'Rollback undone' };

export class RollbacksPane {
  constructor() {
    this.element = h('div', { class: 'scroll rollbacks', tabindex: '0', role: 'region', 'aria-label': 'Rollbacks' });
  }

  update({ view }) {
    const total = view.firstRollback + view.rollbacks.length;
    if (total === this.total) return;
    this.total = total;
    if (total === 0) {
      const example = `ltm rollback ${view.id} --to 5`;
      this.element.replaceChildren(h('p', { class: 'hint' }, 'This LTM was never rolled back. To go back to a snapshot: ', h('code', {}, example)));
      return;
    }
    this.#load(view.id, total);
  }

  async #load(id, total) {
    let page;
    try {
      const response = await ask(`ltm/${id}/rollbacks?from=${Math.max(0, total - MOST)}&limit=${MOST}`);
      page = await response.json();
    } catch (error) {
      if (total !== this.total) return;
      const again = h('button', { class: 'quiet', onclick: () => this.#load(id, total) }, 'Try again');
      this.element.replaceChildren(h('p', { class: 'hint' }, `The rollbacks could not be read: ${error.message} `, again));
      return;
    }
    // Another rollback may have happened meanwhile.
    if (total !== this.total) return;
    const older = page.from - page.first_rollback;
    this.element.replaceChildren(
      h('ul', {}, page.rollbacks.map((it) => card(id, it)).reverse()),
      older > 0 ? h('p', { class: 'hint small' }, `and ${count(older, 'older rollback')}`) : '');
  }
}

function card(id, rollback) {
  const number = rollback.index;
  const steps = h('div', {});
  const details = h('details', { ontoggle: () => details.open && showSteps(steps, id, number) },
    h('summary', {}, `History before the rollback: ${count(rollback.snapshots_before, 'snapshot')}`), steps);
  return h('li', { class: 'card' },
    h('div', { class: 'card-head' },
      h('span', { class: 'number' }, `#${number}`), h('strong', {}, WORDS[rollback.reason] ?? String(rollback.reason)),
      h('time', { title: fullTime(rollback.time) }, fullTime(rollback.time))),
    details,
    h('div', { class: 'card-foot' },
      copyButton('Copy snapshots as curl', () => curl(address(`ltm/${id}/snapshots?rollback=${number}`)), 'Command'),
      copyButton('Copy undo command', () => `ltm rollback ${id} --undo ${number}`, 'Command')));
}

/** Fetches the beginning of the history that a rollback took out, once. */
async function showSteps(element, id, number) {
  if (element.firstChild) return;
  element.append(h('p', { class: 'hint small' }, 'Loading …'));
  try {
    const response = await ask(`ltm/${id}/snapshots?rollback=${number}&limit=${MOST_STEPS}`);
    const { from, snapshots, snapshots_count: total } = await response.json();
    const step = (snapshot, i) => h('li', {}, h('span', { class: 'number' }, String(from + i)), h('span', {}, titleOf(snapshot)), h('span', { class: 'muted' }, snapshot.reason), h('time', {}, clockTime(snapshot.time)));
    const more = total - from - snapshots.length;
    element.replaceChildren(
      h('ol', { class: 'mini-steps' }, snapshots.map(step)),
      more > 0 ? h('p', { class: 'hint small' }, `and ${count(more, 'more snapshot')}`) : '');
  } catch {
    element.replaceChildren();
    element.parentElement.open = false;
  }
}

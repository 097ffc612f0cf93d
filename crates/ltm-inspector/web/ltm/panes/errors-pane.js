// The errors of an LTM and their outcome.

import { jsonBlock, textBlock } from '../../elements/block.js';
import { latestOf, nameOf, outcomeOf, retriesOf } from '../../data/errors.js';
import { h } from '../../elements/dom.js';
import { count } from '../../data/json.js';
import { placeOf } from '../step-rows.js';
import { clockTime, fullTime, moment } from '../../data/time.js';

const MOST = 100;

export class ErrorsPane {
  /** Calls `onStep` with the index of a step. */
  constructor({ onStep }) {
    this.onStep = onStep;
    this.element = h('div', { class: 'scroll errors', tabindex: '0', role: 'region', 'aria-label': 'Errors' });
  }

  update({ view, first }) {
    Object.assign(this, { snapshots: view.snapshots, first });
    if (view.errors === this.errors) return;
    this.errors = view.errors;
    if (view.errors.length === 0) {
      this.element.replaceChildren(h('p', { class: 'hint' }, 'No errors. Errors that the engine records with POST /errors appear here.'));
      return;
    }
    const newest = view.errors.toSorted((a, b) => (moment(latestOf(b)) || 0) - (moment(latestOf(a)) || 0));
    this.element.replaceChildren(
      h('ul', {}, newest.slice(0, MOST).map((error) => card(error, () => this.#show(error)))),
      newest.length > MOST ? h('p', { class: 'hint small' }, `and ${count(newest.length - MOST, 'older error')}`) : '');
  }

  #show(error) {
    const place = placeOf(error, this.snapshots);
    if (place >= 0) this.onStep(this.first + place);
  }
}

function card(error, onStep) {
  const [word, status] = outcomeOf(error);
  const name = nameOf(error);
  const tries = retriesOf(error);
  const last = tries.at(-1);
  return h('li', { class: 'card' },
    h('div', { class: 'card-head' },
      h('span', { class: 'badge', 'data-status': status }, h('i', { class: 'dot', 'aria-hidden': 'true' }), word),
      h('strong', {}, name), h('span', { class: 'muted' }, error.reason === name ? '' : String(error.reason ?? '')),
      h('button', { class: 'step-link', title: 'Go to the step at which it happened', onclick: onStep }, 'show step'),
      h('time', { title: fullTime(latestOf(error)) }, clockTime(latestOf(error)))),
    last ? h('p', { class: 'said' }, `${last.type ?? 'Error'}: ${last.description ?? ''}`) : null,
    tries.map((attempt, i) => h('details', {},
      h('summary', {}, `Attempt ${i + 1} · ${clockTime(attempt?.time)}`),
      typeof attempt?.details === 'string' ? textBlock(attempt.details) : jsonBlock(attempt))),
    h('details', {}, h('summary', {}, 'Item'), jsonBlock(error.item ?? null)));
}

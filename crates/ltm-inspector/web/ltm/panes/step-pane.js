// One step: its item, what it queued, and what was left in the queues.

import { jsonBlock } from '../../elements/block.js';
import { copyButton } from '../../elements/clipboard.js';
import { plain, stringify } from '../../wire/digits.js';
import { h } from '../../elements/dom.js';
import { count } from '../../data/json.js';
import { filled } from '../../data/steps.js';
import { clockTime, dayOf, fullTime } from '../../data/time.js';

const MOST = 50;

export class StepPane {
  constructor({ onStep }) {
    this.onStep = onStep;
    this.element = h('div', { class: 'scroll step-pane', tabindex: '0', role: 'region', 'aria-label': 'Step and queues' });
  }

  update({ snapshot, index, queues, first, view }) {
    if (!snapshot) return;
    const waiting = queues.waiting(index - first);
    const key = [index, view.snapshots.length, waiting.length].join();
    if (snapshot === this.snapshot && key === this.key) return;
    const scrolled = snapshot === this.snapshot ? this.element.scrollTop : 0;
    Object.assign(this, { snapshot, key, queues, first });
    const by = queues.queuedBy(snapshot.item);
    this.element.replaceChildren(
      h('div', { class: 'pane-head' }, h('span', {}, `Step ${index}`), copyButton('Copy JSON', () => stringify(snapshot, 2), 'Snapshot')),
      h('dl', { class: 'facts' },
        fact('Reason', snapshot.reason),
        fact('Taken at', h('time', { title: fullTime(snapshot.time) }, `${clockTime(snapshot.time)} · ${dayOf(snapshot.time)}`)),
        this.#itemFacts(snapshot.item),
        by === undefined ? null : fact('Queued by', this.#link(by))),
      this.#queue('Queued executions', 'execute_queue', snapshot.execute_queue),
      this.#queue('Queued transitions', 'transitions_queue', snapshot.transitions_queue),
      this.#waiting(waiting));
    this.element.scrollTop = scrolled;
  }

  #itemFacts(item) {
    if (item === null || item === undefined) return fact('Item', 'none');
    if (typeof item !== 'object') return fact('Item', jsonBlock(item));
    return Object.entries(item).map(([name, value]) => fact(
      NAMES[name] ?? name,
      typeof value === 'object' && value !== null ? jsonBlock(value) : h('code', {}, value === null ? 'none' : plain(value)),
    ));
  }

  #link(place) {
    return h('button', { class: 'step-link', onclick: () => this.onStep(this.first + place) }, `step ${this.first + place}`);
  }

  #queue(title, name, queue) {
    const items = Array.isArray(queue) ? queue : [];
    return h('section', { class: 'queue' },
      h('h2', {}, title, ' ', h('code', {}, name), h('span', { class: 'pill' }, String(items.length))),
      items.length === 0 ? h('p', { class: 'hint small' }, 'none') : h('ul', {}, items.slice(0, MOST).map((item) => this.#entry(item))),
      items.length > MOST ? h('p', { class: 'hint small' }, `and ${count(items.length - MOST, 'more item')}`) : null);
  }

  #entry(item) {
    const taken = this.queues.takenBy(item);
    const payload = item?.payload;
    return h('li', {},
      h('div', { class: 'entry' }, h('code', {}, nameOf(item)), taken === undefined ? h('span', { class: 'waiting' }, 'waiting') : h('span', {}, 'taken by ', this.#link(taken))),
      payload !== null && payload !== undefined && Object.keys(payload).length > 0 ? h('details', {}, h('summary', {}, 'payload'), jsonBlock(payload)) : null);
  }

  #waiting(waiting) {
    const entry = ({ kind, item, index }) => h('li', {}, h('div', { class: 'entry' }, h('span', { class: 'kind-word' }, kind), h('code', {}, nameOf(item)), h('span', {}, 'queued by ', this.#link(index))));
    return h('section', { class: 'queue' },
      h('h2', {}, 'Waiting after this step', h('span', { class: 'pill' }, String(waiting.length))),
      waiting.length === 0 ? h('p', { class: 'hint small' }, 'Nothing: everything that was queued has run.') : h('ul', {}, waiting.slice(0, MOST).map(entry)),
      waiting.length > MOST ? h('p', { class: 'hint small' }, `and ${count(waiting.length - MOST, 'more item')}`) : null);
  }
}

const NAMES = { item_id: 'Item', fqn: 'State', label: 'Transition', namespace: 'Namespace', params: 'Parameters', payload: 'Payload', playground: 'Playground' };

function nameOf(item) {
  if (typeof item?.label === 'string') return `${filled(item.label, item.params)} (${item.namespace})`;
  return typeof item?.fqn === 'string' ? item.fqn : stringify(item);
}

function fact(name, ...value) {
  return [h('dt', {}, name), h('dd', {}, ...value)];
}

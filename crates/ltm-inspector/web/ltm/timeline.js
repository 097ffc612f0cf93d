// The list of all snapshots.

import { h, setAttribute, setText } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { count } from '../data/json.js';
import { kindOf, titleOf } from '../data/steps.js';
import { clockTime, fullTime, gap } from '../data/time.js';
import { VirtualList } from '../elements/virtual.js';

const ROW = 46;

export class Timeline {
  #items = [];
  #ids = 0;

  /** Calls `onPick` with the index of the chosen snapshot, or null for the live end. */
  constructor({ onPick }) {
    this.onPick = onPick;
    this.input = h('input', {
      type: 'search', placeholder: 'Filter steps', 'aria-label': 'Filter steps', spellcheck: 'false',
      oninput: () => this.#filter(),
    });
    this.tally = h('span', { class: 'tally', role: 'status' });
    this.scroll = h('div', {
      class: 'steps', role: 'listbox', tabindex: '0', 'aria-label': 'Snapshots',
      onclick: (event) => this.#click(event), onkeydown: (event) => this.#key(event),
    });
    this.list = new VirtualList(this.scroll, { rowHeight: ROW, make: () => this.#makeRow(), fill: (row, place) => this.#fill(row, place) });
    this.empty = h('p', { class: 'hint', hidden: true }, 'No step matches.');
    this.element = h('section', { class: 'pane timeline', 'aria-label': 'Timeline' },
      h('div', { class: 'bar' }, h('label', { class: 'search' }, icon('search'), this.input), this.tally),
      this.scroll, this.empty);
  }

  update(model) {
    const { view, index, live } = model;
    const anew = view.snapshots !== this.model?.view.snapshots;
    const moved = index !== this.model?.index || anew;
    const atEnd = this.#isAtEnd();
    this.model = model;
    if (anew) this.#select();
    this.list.update(this.#items.length);
    if (moved && !(live && this.held && !atEnd)) this.#reveal();
    this.#point();
  }

  /** The index of the snapshot `by` rows further among the visible ones. */
  step(by) {
    const { index } = this.model;
    const place = this.#placeOf(index);
    if (this.#items.length === 0) return index;
    const next = place >= 0 ? place + by : this.#items.findIndex((it) => it > index) + (by > 0 ? 0 : -1);
    return this.#items[Math.min(this.#items.length - 1, Math.max(0, next))];
  }

  /** Brings the chosen snapshot into view again after the pane was hidden. */
  show() {
    this.list.update(this.#items.length);
    if (this.model) this.#reveal();
  }

  #isAtEnd() {
    return this.scroll.scrollTop + this.scroll.clientHeight > this.scroll.scrollHeight - 2 * ROW;
  }

  #filter() {
    this.#select();
    this.scroll.scrollTop = 0;
    this.list.update(this.#items.length);
    this.#reveal();
  }

  #select() {
    const { view, first } = this.model;
    const wanted = this.input.value.trim().toLocaleLowerCase();
    const all = view.snapshots.map((_, i) => first + i);
    this.#items = wanted ? all.filter((index) => textOf(view.snapshots[index - first], index).includes(wanted)) : all;
    setText(this.tally, wanted ? `${this.#items.length.toLocaleString('en')} of ${all.length.toLocaleString('en')}` : '');
    this.empty.hidden = this.#items.length > 0 || all.length === 0;
  }

  #placeOf(index) {
    if (this.#items.length === this.model.view.snapshots.length) return index - this.model.first;
    return this.#items.indexOf(index);
  }

  #reveal() {
    const place = this.#placeOf(this.model.index);
    if (place >= 0) this.list.reveal(place);
  }

  #point() {
    const row = this.list.row(this.#placeOf(this.model.index));
    setAttribute(this.scroll, 'aria-activedescendant', row?.id);
  }

  #makeRow() {
    const row = h('div', { class: 'step', role: 'option', id: `step-${(this.#ids += 1)}` });
    row.parts = {
      number: h('span', { class: 'number' }), dot: h('span', { class: 'kind', 'aria-hidden': 'true' }),
      title: h('span', { class: 'title' }), gap: h('span', { class: 'gap' }), about: h('span', { class: 'about' }), time: h('time', {}),
    };
    const { number, dot, title, about, time } = row.parts;
    row.append(number, dot, title, row.parts.gap, about, time);
    return row;
  }

  #fill(row, place) {
    const { view, first, index: chosen } = this.model;
    const index = this.#items[place];
    const snapshot = view.snapshots[index - first];
    const before = view.snapshots[index - first - 1];
    const { number, title, about, time } = row.parts;
    row.index = index;
    setAttribute(row, 'data-kind', kindOf(snapshot.reason));
    setAttribute(row, 'aria-selected', String(index === chosen));
    setAttribute(row, 'aria-posinset', place + 1);
    setAttribute(row, 'aria-setsize', this.#items.length);
    setText(number, String(index));
    setText(title, titleOf(snapshot));
    setText(row.parts.gap, before ? gap(before.time, snapshot.time) : '');
    setText(about, `${snapshot.reason} · ${count(snapshot.patch.length, 'change')}`);
    setText(time, clockTime(snapshot.time));
    setAttribute(time, 'title', fullTime(snapshot.time));
  }

  #click(event) {
    const row = event.target.closest('.step');
    if (row) this.onPick(row.index);
  }

  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.onPick(this.step(by));
  }
}

function textOf(snapshot, index) {
  const item = snapshot.item ?? {};
  return `${index} ${snapshot.reason} ${titleOf(snapshot)} ${item.fqn ?? ''} ${item.namespace ?? ''}`.toLocaleLowerCase();
}

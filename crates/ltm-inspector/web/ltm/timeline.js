// The list of all snapshots.

import { h, setAttribute, setText } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { count } from '../data/json.js';
import { kindOf, titleOf } from '../data/steps.js';
import { errorPlaces, Runs } from './step-rows.js';
import { clockTime, fullTime, gap } from '../data/time.js';
import { VirtualList } from '../elements/virtual.js';

const ROW = 46;
/** The new rows that a frame makes while the list follows its end: each takes a slow CPU some milliseconds. */
const AT_ONCE = 10;
const ERROR_WORDS = { bad: 'error', recovered: 'error, recovered' };

export class Timeline {
  /** The rows, by place: `{ from, to, run, count }`. */
  #rows = [];
  #ids = 0;
  #runs = new Runs();
  /** The runs of equal steps that the user opened. */
  #open = new Set();
  #grouped = true;
  #onlyChanges = false;
  #errors = new Map();
  /** Whether the chosen snapshot is still to be brought into view. */
  #moves = false;
  /** The snapshot that a key chose, until the model has it. */
  #picked = null;

  /** Calls `onPick` with the index of the chosen snapshot, or null for the live end; calls `onMore` to be updated again in the next frame. */
  constructor({ onPick, onMore }) {
    Object.assign(this, { onPick, onMore });
    this.input = h('input', {
      type: 'search', placeholder: 'Filter steps', 'aria-label': 'Filter steps', spellcheck: 'false',
      oninput: () => this.#filter(),
    });
    this.tally = h('span', { class: 'tally', role: 'status' });
    const toggle = (label, name, on, act) => {
      const button = h('button', { class: 'icon-button', title: label, 'aria-label': label, 'aria-pressed': String(on), onclick: () => {
        setAttribute(button, 'aria-pressed', String(act()));
        this.#filter();
      } }, icon(name));
      return button;
    };
    this.group = toggle('One row for equal steps', 'group', true, () => {
      this.#open.clear();
      return (this.#grouped = !this.#grouped);
    });
    this.changes = toggle('Only steps that changed the state', 'changes', false, () => (this.#onlyChanges = !this.#onlyChanges));
    this.scroll = h('div', {
      class: 'steps', role: 'listbox', tabindex: '0', 'aria-label': 'Snapshots',
      onclick: (event) => this.#click(event), onkeydown: (event) => this.#key(event),
    });
    this.list = new VirtualList(this.scroll, { rowHeight: ROW, make: () => this.#makeRow(), fill: (row, place) => this.#fill(row, place) });
    this.empty = h('p', { class: 'hint', hidden: true }, 'No step matches.');
    this.element = h('section', { class: 'pane timeline', 'aria-label': 'Timeline' },
      h('div', { class: 'bar' }, h('label', { class: 'search' }, icon('search'), this.input), this.tally, this.group, this.changes),
      this.scroll, this.empty);
  }

  update(model) {
    const { view, index, live } = model;
    const anew = view.snapshots !== this.model?.view.snapshots;
    const follows = live && this.model?.live === true;
    // If the user scrolled away from the end, the list stays there.
    if (index !== this.model?.index || anew) this.#moves ||= !follows || this.list.atEnd;
    this.model = model;
    this.#picked = null;
    if (anew) this.#runs.update(view.snapshots);
    if (anew || view.errors !== this.errors) {
      this.errors = view.errors;
      this.#errors = errorPlaces(view.errors, view.snapshots);
    }
    if (anew) this.#select();
    if (follows && this.#moves && !this.list.prepareEnd(this.#rows.length, AT_ONCE)) {
      this.onMore();
      return;
    }
    this.list.update(this.#rows.length, this.#moves ? this.#chosenRow() : -1);
    this.#moves = false;
    this.#point();
  }

  /** The index of the snapshot `by` rows further among the visible ones. */
  step(by) {
    const { first } = this.model;
    const index = this.#picked ?? this.model.index;
    if (this.#rows.length === 0) return index;
    const row = this.#rowOf(index);
    const next = row >= 0 ? row + by : this.#rows.findIndex((it) => it.from > index - first) + (by > 0 ? 0 : -1);
    return first + this.#rows[Math.min(this.#rows.length - 1, Math.max(0, next))].to;
  }

  /** Brings the chosen snapshot into view, for instance after the pane was hidden; if a filter leaves it out, the first one. */
  show() {
    this.list.update(this.#rows.length, this.model ? Math.max(0, this.#chosenRow()) : -1);
  }

  /** The row of the chosen snapshot. If a filter leaves out the latest one, the last row stands for it. */
  #chosenRow() {
    const row = this.#rowOf(this.model.index);
    return row < 0 && this.model.live ? this.#rows.length - 1 : row;
  }

  #filter() {
    this.#select();
    this.show();
  }

  #select() {
    const { view, first } = this.model;
    const { snapshots } = view;
    const wanted = this.input.value.trim().toLocaleLowerCase();
    const keeps = (place) => (!this.#onlyChanges || snapshots[place].patch.length > 0) && (!wanted || textOf(snapshots[place], first + place).includes(wanted));
    const filters = wanted !== '' || this.#onlyChanges;
    const single = { has: () => true };
    this.#rows = this.#runs.rows(this.#grouped ? this.#open : single, filters ? keeps : undefined);
    const shown = this.#rows.reduce((sum, row) => sum + row.count, 0);
    setText(this.tally, filters ? `${shown.toLocaleString('en')} of ${snapshots.length.toLocaleString('en')}` : '');
    this.empty.hidden = this.#rows.length > 0 || snapshots.length === 0;
  }

  /** The row that shows a snapshot; -1 if none does. */
  #rowOf(index) {
    const place = index - this.model.first;
    let [low, high] = [0, this.#rows.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const { from, to } = this.#rows[middle];
      if (place < from) high = middle - 1;
      else if (place > to) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  #point() {
    const row = this.list.row(this.#rowOf(this.model.index));
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

  #fill(row, nth) {
    const { view, first, index: chosen } = this.model;
    const { from, to, count: many } = this.#rows[nth];
    const snapshot = view.snapshots[to];
    const before = view.snapshots[from - 1];
    const errors = this.#errorsIn(from, to);
    row.nth = nth;
    setAttribute(row, 'aria-selected', String(chosen - first >= from && chosen - first <= to));
    setAttribute(row, 'aria-posinset', nth + 1);
    setAttribute(row, 'aria-setsize', this.#rows.length);
    const shown = [snapshot, before, first + from, many, errors];
    // While snapshots arrive, most rows in view stay as they are.
    if (row.shown?.every((it, at) => it === shown[at])) return;
    row.shown = shown;
    const { number, title, about, time } = row.parts;
    const changes = many === 1 ? count(snapshot.patch.length, 'change') : `steps ${first + from} to ${first + to}`;
    setAttribute(row, 'data-kind', kindOf(snapshot.reason));
    setAttribute(row, 'data-error', errors);
    setAttribute(row, 'data-many', many > 1 ? 'yes' : null);
    setText(number, String(first + from));
    setText(title, many === 1 ? titleOf(snapshot) : `${titleOf(snapshot)} × ${many.toLocaleString('en')}`);
    setText(row.parts.gap, before ? gap(before.time, snapshot.time) : '');
    setText(about, `${errors ? `${ERROR_WORDS[errors]} · ` : ''}${snapshot.reason} · ${changes}`);
    setText(time, clockTime(snapshot.time));
    setAttribute(time, 'title', fullTime(snapshot.time));
  }

  /** Whether an error happened in these steps: `bad`, `recovered`, or null. */
  #errorsIn(from, to) {
    let found = null;
    for (const [place, kind] of this.#errors) if (place >= from && place <= to && found !== 'bad') found = kind;
    return found;
  }

  #click(event) {
    const element = event.target.closest('.step');
    if (!element) return;
    const { from, run, count: many } = this.#rows[element.nth];
    if (many > 1) this.#open.add(run);
    if (many > 1) this.#select();
    this.onPick(this.model.first + from);
  }

  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#picked = this.step(by);
    this.onPick(this.#picked);
  }
}

function textOf(snapshot, index) {
  const item = snapshot.item ?? {};
  return `${index} ${snapshot.reason} ${titleOf(snapshot)} ${item.fqn ?? ''} ${item.namespace ?? ''}`.toLocaleLowerCase();
}

// The state as a tree, with marks for what the step changed, and a search.

import { pointerAbove, valueAt } from 'ltm-live';
import { changes } from '../../data/changes.js';
import { copy, copyButton } from '../../elements/clipboard.js';
import { stringify } from '../../wire/digits.js';
import { h, setAttribute, setText } from '../../elements/dom.js';
import { find, partsOf } from '../../data/find.js';
import { icon } from '../../elements/icons.js';
import { brief, count, growingText, pretty, typeOf } from '../../data/json.js';
import { STATUSES } from '../../data/status.js';
import { rowsOf } from './tree-rows.js';
import { VirtualList } from '../../elements/virtual.js';

const ROW = 26;
const MARKS = { added: '+', changed: '~', within: '·', removed: '−' };
const MARK_WORDS = { added: 'added', changed: 'changed', within: 'changed inside', removed: 'removed' };

export class StatePane {
  #toggled = new Map();
  #rows = [];
  #found = { found: [], more: false };
  #foundAt = -1;
  #chosen = null;
  #ids = 0;

  constructor() {
    this.input = h('input', {
      type: 'search', placeholder: 'Search', 'aria-label': 'Search in the state', spellcheck: 'false',
      oninput: () => this.#search(), onkeydown: (event) => this.#searchKey(event),
    });
    this.tally = h('span', { class: 'tally', role: 'status' });
    const step = (label, name, by) => h('button', { class: 'icon-button', title: label, 'aria-label': label, onclick: () => this.#next(by) }, icon(name));
    this.copied = h('button', { class: 'icon-button', title: 'Copy the state as JSON', 'aria-label': 'Copy the state as JSON', onclick: () => copy(stringify(this.state, 2), 'State') }, icon('copy'));
    this.only = h('button', { class: 'toggle', 'aria-pressed': 'false', title: 'Open what this step changed, close the rest', onclick: () => this.showChanges() }, 'Changed');
    this.tree = h('div', {
      class: 'tree', role: 'tree', tabindex: '0', 'aria-label': 'State',
      onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event),
    });
    this.list = new VirtualList(this.tree, { rowHeight: ROW, make: () => this.#makeRow(), fill: (row, index) => this.#fill(row, index) });
    this.detail = h('div', { class: 'detail', hidden: true });
    this.element = h('div', { class: 'state-pane' },
      h('div', { class: 'bar' }, h('label', { class: 'search' }, icon('search'), this.input), this.tally, step('Previous match', 'left', -1), step('Next match', 'right', 1), this.only, this.copied),
      this.tree, this.detail);
  }

  update({ state, before }) {
    if (state === undefined) return;
    const changed = state !== this.state || before !== this.before;
    Object.assign(this, { state, before });
    if (!changed) return;
    this.marks = before === undefined ? new Map() : changes(before, state);
    if (this.input.value) this.#found = find(state, this.input.value);
    this.#refresh();
    this.#showTally();
    this.#showDetail();
  }

  /** Brings the value at a pointer into view and selects it. */
  reveal(pointer) {
    for (let it = pointer; it !== ''; it = pointerAbove(it)) this.#toggled.set(pointerAbove(it), true);
    this.#toggled.set(pointer, true);
    this.#chosen = pointer;
    this.#refresh();
    const index = this.#rows.findIndex((row) => row.pointer === pointer);
    if (index >= 0) this.list.reveal(index, true);
    this.#choose(index);
  }

  focusSearch() {
    this.input.focus();
    this.input.select();
  }

  /** Opens what the step changed and closes everything else. */
  showChanges() {
    this.#toggled.clear();
    const open = new Set(['']);
    for (const pointer of this.marks.keys()) for (let it = pointer; it !== ''; it = pointerAbove(it)) open.add(pointerAbove(it));
    for (const row of rowsOf(this.state, this.before, this.marks, new Map())) if (row.size !== undefined) this.#toggled.set(row.pointer, false);
    for (const pointer of open) this.#toggled.set(pointer, true);
    this.#refresh();
    const first = this.#rows.findIndex((row) => row.mark && row.mark !== 'within');
    if (first >= 0) this.list.reveal(first, true);
  }

  #refresh() {
    this.#rows = rowsOf(this.state, this.before, this.marks, this.#toggled);
    this.list.update(this.#rows.length);
    this.#point();
  }

  #makeRow() {
    const row = h('div', { class: 'row', role: 'treeitem', id: `state-row-${(this.#ids += 1)}` });
    row.parts = {
      mark: h('span', { class: 'mark', 'aria-hidden': 'true' }), twisty: h('span', { class: 'twisty', 'aria-hidden': 'true' }),
      key: h('span', { class: 'key' }), value: h('span', { class: 'value' }), size: h('span', { class: 'size' }),
    };
    row.append(row.parts.mark, row.parts.twisty, row.parts.key, row.parts.value, row.parts.size);
    return row;
  }

  #fill(row, index) {
    const it = this.#rows[index];
    const { mark, twisty, key, value, size } = row.parts;
    const wanted = this.input.value;
    row.index = index;
    row.style.setProperty('--depth', Math.min(it.depth, 40));
    setAttribute(row, 'data-mark', it.mark);
    const growing = growingText(it.value);
    setAttribute(row, 'data-type', growing === undefined ? typeOf(it.value) : 'string');
    setAttribute(row, 'aria-level', it.depth + 1);
    setAttribute(row, 'aria-posinset', it.place);
    setAttribute(row, 'aria-setsize', it.of);
    setAttribute(row, 'aria-expanded', it.size > 0 ? String(it.open) : null);
    setAttribute(row, 'aria-selected', String(it.pointer === this.#chosen));
    setAttribute(row, 'data-found', this.#found.found[this.#foundAt] === it.pointer ? 'yes' : null);
    setText(mark, MARKS[it.mark] ?? '');
    setAttribute(twisty, 'data-open', it.size > 0 ? String(it.open) : null);
    const name = it.key === null ? 'state' : String(it.key);
    highlight(key, name.length > 120 ? `${name.slice(0, 120)}…` : name, it.key === null ? '' : wanted);
    const text = it.open ? '' : snippet(it.value, wanted);
    setAttribute(value, 'data-status', it.key === '_status' && STATUSES.includes(it.value) ? it.value : null);
    highlight(value, text, it.size === undefined ? wanted : '');
    setText(size, it.size > 0 && it.open ? String(it.size) : '');
    setAttribute(row, 'aria-label', `${name}${it.mark ? `, ${MARK_WORDS[it.mark]}` : ''}: ${text || count(it.size ?? 0, 'member')}`);
  }

  #click(event) {
    const row = event.target.closest('.row');
    if (!row) return;
    this.#choose(row.index);
    const it = this.#rows[row.index];
    if (it.size > 0) this.#toggle(it);
  }

  #toggle(it) {
    this.#toggled.set(it.pointer, !it.open);
    this.#refresh();
  }

  #choose(index) {
    const it = this.#rows[index];
    if (!it) return;
    this.#chosen = it.pointer;
    this.list.update(this.#rows.length, index);
    this.#point();
    this.#showDetail();
  }

  /** Tells screen readers which row has the focus. */
  #point() {
    const row = this.list.row(this.#rows.findIndex((it) => it.pointer === this.#chosen));
    setAttribute(this.tree, 'aria-activedescendant', row?.id);
  }

  #key(event) {
    const index = Math.max(0, this.#rows.findIndex((it) => it.pointer === this.#chosen));
    const it = this.#rows[index];
    const moves = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: this.#rows.length - 1, PageDown: index + 15, PageUp: index - 15 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.#choose(Math.min(this.#rows.length - 1, Math.max(0, moves[event.key])));
    else if (event.key === 'ArrowRight') it.size > 0 && !it.open ? this.#toggle(it) : this.#choose(Math.min(index + 1, this.#rows.length - 1));
    else if (event.key === 'ArrowLeft') it.open ? this.#toggle(it) : this.#choose(this.#rows.findIndex((row) => row.pointer === pointerAbove(it.pointer)));
    else if (event.key === 'Enter') it.size > 0 ? this.#toggle(it) : this.#choose(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #search() {
    const text = this.input.value;
    this.#found = text ? find(this.state, text) : { found: [], more: false };
    this.#foundAt = -1;
    if (this.#found.found.length) this.#next(1);
    else this.#refresh();
    this.#showTally();
  }

  #searchKey(event) {
    if (event.key === 'Enter') this.#next(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') {
      this.input.value = '';
      this.#search();
      this.tree.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #next(by) {
    const { found } = this.#found;
    if (found.length === 0) return;
    this.#foundAt = (this.#foundAt + by + found.length) % found.length;
    const pointer = found[this.#foundAt];
    for (let it = pointer; it !== ''; it = pointerAbove(it)) this.#toggled.set(pointerAbove(it), true);
    this.#refresh();
    const index = this.#rows.findIndex((row) => row.pointer === pointer);
    this.#choose(index);
    this.#showTally();
  }

  #showTally() {
    const { found, more } = this.#found;
    const total = `${found.length}${more ? '+' : ''}`;
    setText(this.tally, !this.input.value ? '' : found.length === 0 ? 'no match' : `${this.#foundAt + 1} of ${total}`);
  }

  /** Shows the selected value in full. */
  #showDetail() {
    const pointer = this.#chosen;
    const value = pointer === null || pointer === '' ? undefined : valueAt(this.state, pointer);
    const growing = growingText(value);
    this.detail.hidden = value === undefined || (value !== null && typeof value === 'object' && growing === undefined);
    if (this.detail.hidden) {
      this.shown = undefined;
      return;
    }
    if (this.shown?.pointer === pointer && this.shown.value === value) return;
    this.shown = { pointer, value };
    const text = growing ?? (typeOf(value) === 'string' ? value : pretty(value));
    const close = () => {
      this.detail.hidden = true;
      this.tree.focus();
    };
    this.detail.replaceChildren(
      h('div', { class: 'detail-head' }, h('code', { title: pointer }, pointer),
        copyButton('Copy path', () => pointer, 'Path'), copyButton('Copy value', () => text, 'Value'),
        h('button', { class: 'icon-button', 'aria-label': 'Close', title: 'Close', onclick: close }, icon('close'))),
      h('pre', { tabindex: '0', 'aria-label': 'Full value', 'data-type': growing === undefined ? typeOf(value) : 'string' }, text.length > 60_000 ? `${text.slice(0, 60_000)}…` : text));
  }
}

/** A value on one line. If the match is far inside, the part around it. */
function snippet(value, wanted) {
  if (typeOf(value) !== 'string' || !wanted) return brief(value);
  const found = value.toLocaleLowerCase().indexOf(wanted.toLocaleLowerCase());
  return found > 40 ? JSON.stringify(`…${value.slice(found - 30, found + 120)}`) : brief(value);
}

function highlight(element, text, wanted) {
  const parts = partsOf(text, wanted);
  // A mark of an earlier search may be left, although the text is the same.
  if (parts.length === 1 && element.firstElementChild === null) setText(element, text);
  else element.replaceChildren(...parts.map((part, i) => (i === 1 ? h('mark', {}, part) : part)));
}

// The patch of the step: each operation with the value before it.

import { applyPatch, valueAt } from 'ltm-live';
import { copyButton } from '../../elements/clipboard.js';
import { stringify } from '../../wire/digits.js';
import { h } from '../../elements/dom.js';
import { brief, count, pretty, typeOf } from '../../data/json.js';

/** Operations per page; a button shows more. */
const PAGE = 100;
/** Characters to show around a difference in a text. */
const AROUND = 60;
const LONGEST = 4000;

export class ChangesPane {
  constructor({ onPointer }) {
    this.onPointer = onPointer;
    this.element = h('div', { class: 'scroll changes', tabindex: '0', role: 'region', 'aria-label': 'Changes' });
  }

  update({ snapshot, before, index }) {
    if (!snapshot || before === undefined || (snapshot === this.snapshot && before === this.before)) return;
    Object.assign(this, { snapshot, before });
    this.element.scrollTop = 0;
    if (snapshot.patch.length === 0) {
      this.element.replaceChildren(h('p', { class: 'hint' }, 'This step did not change the state.'));
      return;
    }
    const head = h('div', { class: 'pane-head' },
      h('span', {}, `${count(snapshot.patch.length, 'operation')} in step ${index}`),
      copyButton('Copy patch', () => stringify(snapshot.patch, 2), 'Patch'));
    this.list = h('ol', { class: 'operations' });
    this.element.replaceChildren(head, this.list);
    this.state = before;
    this.#more(0);
  }

  #more(from) {
    const { patch } = this.snapshot;
    for (const operation of patch.slice(from, from + PAGE)) {
      const was = valueAt(this.state, operation.op === 'move' || operation.op === 'copy' ? operation.from : operation.path);
      this.list.append(this.#item(operation, operation.op === 'add' ? undefined : was));
      this.state = applyPatch(this.state, [operation]);
    }
    const rest = patch.length - from - PAGE;
    if (rest <= 0) return;
    const more = h('button', { class: 'quiet', onclick: () => {
      more.remove();
      this.#more(from + PAGE);
    } }, `Show ${Math.min(PAGE, rest)} more of ${rest}`);
    this.element.append(more);
  }

  #item({ op, path, from, value }, was) {
    const place = h('button', { class: 'path', title: 'Show in the state', onclick: () => this.onPointer(path) }, path === '' ? '(the whole state)' : path);
    const source = from === undefined ? null : h('span', { class: 'from' }, 'from ', h('code', {}, from));
    return h('li', { 'data-op': op }, h('div', { class: 'operation' }, h('span', { class: 'op' }, op), place), source, body(op, was, value));
  }
}

function body(op, was, value) {
  if (op === 'move' || op === 'copy') return h('pre', { class: 'same' }, brief(was, 400));
  if (op === 'remove') return h('pre', { class: 'old' }, shown(was));
  if (op === 'replace' && was === value) return h('pre', { class: 'same' }, `${brief(value, 400)} (unchanged)`);
  if (op === 'add' || was === undefined) return h('pre', { class: 'new' }, shown(value));
  if (typeOf(was) === 'string' && typeOf(value) === 'string' && was.length + value.length > 40) return textChange(was, value);
  return [h('pre', { class: 'old' }, shown(was)), h('pre', { class: 'new' }, shown(value))];
}

function shown(value) {
  const text = pretty(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** The part in which two texts differ, with some text around it. */
function textChange(was, value) {
  const shorter = Math.min(was.length, value.length);
  let start = 0;
  while (start < shorter && was[start] === value[start]) start += 1;
  let end = 0;
  while (end < shorter - start && was.at(-1 - end) === value.at(-1 - end)) end += 1;
  const head = start > AROUND ? `…${value.slice(start - AROUND, start)}` : value.slice(0, start);
  const tail = end > AROUND ? `${value.slice(value.length - end, value.length - end + AROUND)}…` : value.slice(value.length - end);
  const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
  const part = (tag, text) => (text ? h(tag, {}, cut(text)) : null);
  return h('pre', { class: 'text-change' }, head, part('del', was.slice(start, was.length - end)), part('ins', value.slice(start, value.length - end)), tail);
}

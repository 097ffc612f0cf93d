// A value as the rows of a tree: only open parts have rows.

import { pointerBelow } from 'ltm-live';
import { growingText, member, typeOf } from '../../data/json.js';

/** The most rows. Further ones are left out. */
const MOST = 50_000;
/** Parts up to this depth and size are open at first, unless they are a text that grows. */
const OPEN_DEPTH = 2;
const OPEN_SIZE = 30;

/**
 * Rows: `{ pointer, key, value, depth, size, open, gone, place, of }`. `size` is undefined for a value without members; `gone` is true for
 * a value that the step removed. `toggled` has the pointers that the user opened (true) or closed (false).
 */
export function rowsOf(state, before, marks, toggled) {
  const rows = [];
  add({ rows, marks, toggled }, { pointer: '', key: null, value: state, was: before, depth: 0, place: 1, of: 1 });
  return rows;
}

function isOpen(toggled, pointer, depth, size, value) {
  return toggled.get(pointer) ?? (depth === 0 || (depth < OPEN_DEPTH && size <= OPEN_SIZE && growingText(value) === undefined));
}

function add(context, { pointer, key, value, was, depth, place, of }) {
  const { rows, marks, toggled } = context;
  if (rows.length >= MOST) return;
  const type = typeOf(value);
  const keys = type === 'object' ? Object.keys(value) : null;
  const size = type === 'array' ? value.length : keys?.length;
  const open = size > 0 && isOpen(toggled, pointer, depth, size, value);
  rows.push({ pointer, key, value, depth, size, open, mark: marks.get(pointer), place, of });
  if (!open) return;
  const inner = (name, i) => add(context, { pointer: pointerBelow(pointer, name), key: name, value: value[name], was: member(was, name), depth: depth + 1, place: i + 1, of: size });
  if (keys) {
    keys.forEach(inner);
    if (marks.get(pointer) === 'within') addGone(rows, { pointer, value, was, depth });
    return;
  }
  for (let i = 0; i < value.length && rows.length < MOST; i += 1) inner(i, i);
}

function addGone(rows, { pointer, value, was, depth }) {
  if (typeOf(was) !== 'object') return;
  for (const key of Object.keys(was)) {
    if (Object.hasOwn(value, key)) continue;
    rows.push({ pointer: pointerBelow(pointer, key), key, value: was[key], depth: depth + 1, gone: true, mark: 'removed', place: 1, of: 1 });
  }
}

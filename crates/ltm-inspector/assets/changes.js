// What differs between two states that share what they have in common: only what is not the same object is looked at.

import { below } from './pointer.js';

/** How many differences are told apart; beyond them only that something changed. */
const MOST = 20_000;

/** Pointers of the later state, each `added`, `changed`, or `within` where something below it differs. */
export function changes(before, after) {
  const marks = new Map();
  compare(before, after, '', marks);
  return marks;
}

function isContainer(value) {
  return value !== null && typeof value === 'object';
}

/** Marks what differs at and below a pointer; whether anything does. */
function compare(before, after, pointer, marks) {
  if (before === after || marks.size > MOST) return before !== after;
  const alike = isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after);
  if (!alike) {
    marks.set(pointer, before === undefined ? 'added' : 'changed');
    return true;
  }
  const differs = Array.isArray(after) ? compareArrays(before, after, pointer, marks) : compareObjects(before, after, pointer, marks);
  if (differs) marks.set(pointer, 'within');
  return differs;
}

function compareObjects(before, after, pointer, marks) {
  let differs = Object.keys(before).some((key) => !Object.hasOwn(after, key));
  for (const key of Object.keys(after)) {
    const was = Object.hasOwn(before, key) ? before[key] : undefined;
    if (compare(was, after[key], below(pointer, key), marks)) differs = true;
  }
  return differs;
}

/** What stands the same at both ends is passed over, and what moved within is no change of it. */
function compareArrays(before, after, pointer, marks) {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const old = before.slice(start, before.length - end);
  const moved = new Set(old.filter(isContainer));
  let differs = old.length > 0;
  for (let i = start; i < after.length - end; i += 1) {
    if (moved.has(after[i])) continue;
    const was = i - start < old.length ? old[i - start] : undefined;
    if (compare(was, after[i], below(pointer, i), marks)) differs = true;
  }
  return differs;
}

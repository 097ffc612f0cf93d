// The differences between two states that share equal parts: equal objects are the same object and are skipped.

import { pointerBelow } from 'ltm-live';


/** The most differences to mark. Beyond this limit, only their parents are marked. */
const MOST = 20_000;

/** The pointers that differ in the later state: `added`, `changed`, or `within` if a part below differs. */
export function changes(before, after) {
  const marks = new Map();
  compare(before, after, '', marks);
  return marks;
}

function isContainer(value) {
  return value !== null && typeof value === 'object';
}

/** Marks the differences at and below a pointer. Returns whether there are any. */
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
    if (compare(was, after[key], pointerBelow(pointer, key), marks)) differs = true;
  }
  return differs;
}

/** Skips equal elements at both ends. An element that only moved is not marked. */
function compareArrays(before, after, pointer, marks) {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const old = before.slice(start, before.length - end);
  const moved = new Set(old.filter(isContainer));
  // Equal elements may be other objects, if the step replaced the whole list.
  let differs = before.length !== after.length;
  for (let i = start; i < after.length - end; i += 1) {
    if (moved.has(after[i])) {
      differs = true;
      continue;
    }
    const was = i - start < old.length ? old[i - start] : undefined;
    if (compare(was, after[i], pointerBelow(pointer, i), marks)) differs = true;
  }
  return differs;
}

// Finds a text in the keys and scalar values of a state.

import { pointerBelow } from 'ltm-live';
import { plain } from '../wire/digits.js';

const MOST_FOUND = 1000;
const MOST_LOOKED_AT = 400_000;

/** The pointers of the matches, in order, and whether there may be more. */
export function find(state, text) {
  const wanted = text.toLocaleLowerCase();
  const found = [];
  let looked = 0;
  const holds = (it) => plain(it).toLocaleLowerCase().includes(wanted);
  const stack = [['', null, state]];
  while (stack.length && found.length < MOST_FOUND && looked < MOST_LOOKED_AT) {
    const [pointer, key, value] = stack.pop();
    looked += 1;
    const plain = value === null || typeof value !== 'object';
    if ((typeof key === 'string' && holds(key)) || (plain && holds(value))) found.push(pointer);
    if (plain) continue;
    const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
    for (const name of keys.toReversed()) stack.push([pointerBelow(pointer, name), name, value[name]]);
  }
  return { found, more: stack.length > 0 };
}

/** A text in parts; every second part is a match. */
export function partsOf(text, wanted) {
  const at = wanted ? text.toLocaleLowerCase().indexOf(wanted.toLocaleLowerCase()) : -1;
  if (at < 0) return [text];
  return [text.slice(0, at), text.slice(at, at + wanted.length), text.slice(at + wanted.length)];
}

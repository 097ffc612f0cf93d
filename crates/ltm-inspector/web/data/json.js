// JSON as readable text.

import { digitsOf, stringify } from '../wire/digits.js';

/** Longer texts are cut: a page cannot show megabytes. */
const MOST = 60_000;

/** A value over several lines. */
export function pretty(value) {
  const text = stringify(value, 2) ?? '–';
  return text.length > MOST ? `${text.slice(0, MOST)}\n… ${(text.length - MOST).toLocaleString('en')} more characters` : text;
}

/** The text so far, if the value is a text that still grows: an object with nothing but `chunks`, a list of texts. */
export function growingText(value) {
  if (typeOf(value) !== 'object' || !Array.isArray(value.chunks) || Object.keys(value).length > 1) return undefined;
  return value.chunks.every((chunk) => typeof chunk === 'string') ? value.chunks.join('') : undefined;
}

/** A value on one line, cut; objects and arrays as a summary. */
export function brief(value, most = 160) {
  const digits = digitsOf(value);
  if (digits !== undefined) return digits;
  const growing = growingText(value);
  if (growing !== undefined) return `${JSON.stringify(growing.length > most ? `…${growing.slice(-most)}` : growing)} …`;
  if (typeof value === 'string') return JSON.stringify(value.length > most ? `${value.slice(0, most)}…` : value);
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${count(value.length, 'item')} ]`;
  if (value !== null && typeof value === 'object') {
    const keys = Object.keys(value);
    if (keys.length === 0) return '{}';
    const telling = tellingOf(value, keys, most);
    if (telling !== undefined) return telling;
    const names = keys.slice(0, 4).map((key) => (key.length > 24 ? `${key.slice(0, 24)}…` : key));
    return `{ ${names.join(', ')}${keys.length > 4 ? ', …' : ''} }`;
  }
  return JSON.stringify(value) ?? '–';
}

/** The members that say what an object is, in their order. */
const TELLING = ['type', 'role', 'name', 'title', 'content', '_status'];

/** An object by the values that say what it is: `{ ai · How were harbours lit? }`; undefined if it has none. */
function tellingOf(value, keys, most) {
  const told = TELLING.filter((key) => typeof member(value, key) === 'string' && value[key] !== '' && digitsOf(value[key]) === undefined);
  if (told.length === 0) return undefined;
  const texts = told.slice(0, 3).map((key) => value[key].replace(/\s+/g, ' ').trim());
  const rest = texts.length > 1 ? [] : keys.filter((key) => !told.includes(key)).slice(0, 3);
  const text = [...texts, ...(rest.length ? [rest.join(', ')] : [])].join(' · ');
  return `{ ${text.length > most ? `${text.slice(0, most)}…` : text} }`;
}

/** The name of a value's type; the style sheet has a colour for each. */
export function typeOf(value) {
  if (value === null) return 'null';
  if (digitsOf(value) !== undefined) return 'number';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

/** `1 item`, `2 items`. */
export function count(number, noun) {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/** An own member of an object or array; undefined if there is none. */
export function member(value, key) {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, key) ? value[key] : undefined;
}

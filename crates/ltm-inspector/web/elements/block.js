// JSON and other long texts in a box that scrolls if necessary.

import { h } from './dom.js';
import { pretty } from '../data/json.js';

/** A longer text scrolls, so the keyboard must be able to focus it. */
const LINES = 10;
const LETTERS = 500;

/** A text in a box. */
export function textBlock(text) {
  const scrolls = text.length > LETTERS || text.split('\n', LINES + 1).length > LINES;
  return h('pre', { class: 'block', tabindex: scrolls ? '0' : null }, text);
}

/** A value in a box. */
export function jsonBlock(value) {
  return textBlock(pretty(value));
}

// JSON and other long texts in a box, which scrolls where it has to.

import { h } from './dom.js';
import { pretty } from './json.js';

/** More than this scrolls: then the keyboard has to reach it. */
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

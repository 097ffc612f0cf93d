// Short notes that disappear by themselves; screen readers announce them.

import { h } from './dom.js';

const region = h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' });
const TIME = 3500;
const MOST = 3;

/** The element that holds the notes. */
export function toasts() {
  return region;
}

export function toast(text) {
  const note = h('div', { class: 'toast' }, text);
  region.append(note);
  while (region.children.length > MOST) region.firstChild.remove();
  setTimeout(() => note.remove(), TIME);
}

// Short notes that go by themselves, which readers say aloud.

import { h } from './dom.js';

const region = h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' });
const TIME = 3500;
const MOST = 3;

/** The place of the notes in the page. */
export function toasts() {
  return region;
}

export function toast(text) {
  const note = h('div', { class: 'toast' }, text);
  region.append(note);
  while (region.children.length > MOST) region.firstChild.remove();
  setTimeout(() => note.remove(), TIME);
}

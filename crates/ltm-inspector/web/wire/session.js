// The caller's token. Only this tab has it; closing the tab removes it.

import { keep, kept } from './storage.js';

const KEY = 'ltm-token';
const changed = new EventTarget();

/** The token, or null. */
export function token() {
  return kept('tab', KEY);
}

/** Sets the token; an empty text removes it. */
export function setToken(text) {
  keep('tab', KEY, text || null);
  changed.dispatchEvent(new Event('token'));
}

/** Calls back when the token changes, until `signal` aborts. */
export function onToken(call, signal) {
  changed.addEventListener('token', call, { signal });
}

/** Reports that the service requires another token. */
export function refused() {
  changed.dispatchEvent(new Event('refused'));
}

/** Calls back when the service requires another token. */
export function onRefused(call) {
  changed.addEventListener('refused', call);
}

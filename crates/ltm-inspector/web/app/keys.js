// Single keys as commands. Users who dictate, or who hit keys by accident, can switch them off.

import { keep, kept } from '../wire/storage.js';

const KEY = 'ltm-keys';

export function keysAreOn() {
  return kept('browser', KEY) !== 'off';
}

export function setKeysOn(on) {
  keep('browser', KEY, on ? null : 'off');
}

/** Whether the focused element needs the key itself. */
function isTaken(event) {
  const { target, key } = event;
  if (target.closest('input:not([type="range"]), textarea, select, [contenteditable], dialog, [role="menu"]')) return true;
  if (target.closest('input[type="range"]')) return key.startsWith('Arrow') || ['Home', 'End', 'PageUp', 'PageDown'].includes(key);
  if (target.closest('button, a, [role="button"], summary')) return key === ' ' || key === 'Enter';
  if (target.closest('.scroll, pre')) return [' ', 'Home', 'End'].includes(key);
  return false;
}

/** Calls `act(key)` for each key; it returns whether it handled the key. */
export function onKey(act) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    if (!keysAreOn() && event.key !== '?') return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (act(key)) event.preventDefault();
  });
}

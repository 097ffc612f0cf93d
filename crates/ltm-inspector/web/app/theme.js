// Light or dark: the theme of the system, or the user's choice.

import { keep, kept } from '../wire/storage.js';

const KEY = 'ltm-theme';
const THEMES = ['auto', 'light', 'dark'];

/** The chosen theme. */
export function theme() {
  const chosen = kept('browser', KEY);
  return THEMES.includes(chosen) ? chosen : 'auto';
}

/** Applies the chosen theme. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** Chooses the next theme. */
export function nextTheme() {
  keep('browser', KEY, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  applyTheme();
}

// Light or dark: the theme of the system, or the user's choice.

const KEY = 'ltm-theme';
const THEMES = ['auto', 'light', 'dark'];

/** The chosen theme. */
export function theme() {
  const kept = localStorage.getItem(KEY);
  return THEMES.includes(kept) ? kept : 'auto';
}

/** Applies the chosen theme. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** Chooses the next theme. */
export function nextTheme() {
  localStorage.setItem(KEY, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  applyTheme();
}

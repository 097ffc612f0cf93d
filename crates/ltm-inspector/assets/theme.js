// Light or dark: as the system says, or as was chosen here.

const KEY = 'ltm-theme';
const THEMES = ['auto', 'light', 'dark'];

/** The one that was chosen. */
export function theme() {
  const kept = localStorage.getItem(KEY);
  return THEMES.includes(kept) ? kept : 'auto';
}

/** Shows the one that was chosen. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** Chooses the next one. */
export function nextTheme() {
  localStorage.setItem(KEY, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  applyTheme();
}

// What the browser keeps, in the same places as the inspector: the theme, and the token of this tab. A browser may deny it.
const denied = new Map();

export function kept(area, key) {
  try {
    return window[area].getItem(key);
  } catch {
    return denied.get(key) ?? null;
  }
}

export function keep(area, key, text) {
  try {
    if (text) window[area].setItem(key, text);
    else window[area].removeItem(key);
  } catch {
    denied.set(key, text);
  }
}

const THEMES = ['auto', 'light', 'dark'];

/** Lets a button change the theme. */
export function themes(button) {
  const theme = () => Math.max(THEMES.indexOf(kept('localStorage', 'ltm-theme')), 0);
  const show = () => {
    document.documentElement.dataset.theme = THEMES[theme()];
    button.textContent = `Theme: ${THEMES[theme()]}`;
  };
  button.addEventListener('click', () => {
    keep('localStorage', 'ltm-theme', THEMES[(theme() + 1) % THEMES.length]);
    show();
  });
  show();
}

/** The token of this tab, or an empty text. */
export const token = () => kept('sessionStorage', 'ltm-token') ?? '';

/** Lets a field change the token; calls back then. */
export function tokens(form, input, changed) {
  input.value = token();
  form.addEventListener('submit', (event) => event.preventDefault());
  input.addEventListener('input', () => {
    keep('sessionStorage', 'ltm-token', input.value.trim());
    changed();
  });
}

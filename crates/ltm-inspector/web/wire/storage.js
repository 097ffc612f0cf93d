// What the browser keeps for the page. A browser may deny it; then the page keeps it until it is closed.

const areas = { tab: () => sessionStorage, browser: () => localStorage };
const held = new Map();

/** A text that was kept; null if there is none. `area`: `tab` or `browser`. */
export function kept(area, key) {
  if (held.has(key)) return held.get(key);
  try {
    return areas[area]().getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text; null removes it. */
export function keep(area, key, text) {
  try {
    const storage = areas[area]();
    if (text === null) storage.removeItem(key);
    else storage.setItem(key, text);
    held.delete(key);
  } catch {
    held.set(key, text);
  }
}

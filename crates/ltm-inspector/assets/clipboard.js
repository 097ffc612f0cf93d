// Copies texts, and says so.

import { h } from './dom.js';
import { icon } from './icons.js';
import { toast } from './toast.js';

/** Copies a text; `what` is the word for it. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that did not come over TLS have no clipboard of that kind.
    const area = h('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: '-1' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(`${what} copied`);
}

/** A button that copies what `text()` gives. */
export function copyButton(label, text, what) {
  return h('button', { class: 'quiet', onclick: () => copy(text(), what) }, icon('copy'), label);
}

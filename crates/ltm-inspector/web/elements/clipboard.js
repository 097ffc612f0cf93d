// Copies texts to the clipboard and shows a note.

import { h } from './dom.js';
import { icon } from './icons.js';
import { toast } from './toast.js';

/** Copies a text; `what` names it in the note. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers offer this clipboard only to pages served over TLS.
    const area = h('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: '-1' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(`${what} copied`);
}

/** A button that copies the result of `text()`. */
export function copyButton(label, text, what) {
  return h('button', { class: 'quiet', onclick: () => copy(text(), what) }, icon('copy'), label);
}

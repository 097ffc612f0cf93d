// The lines between panes. Drag them, or move them with the arrow keys.

import { keep, kept } from '../wire/storage.js';
import { h, setAttribute } from './dom.js';

const STEP = 24;
const KEY = 'ltm-panes';

/** The chosen widths by name. */
function widths() {
  try {
    return JSON.parse(kept('browser', KEY)) ?? {};
  } catch {
    return {};
  }
}

/** A line beside a pane whose width is the CSS variable `--<name>` of `body`. `side`: on which side of the line the pane is. */
export function splitter(body, name, { label, side, least, most, usual }) {
  const clamp = (width) => Math.round(Math.min(Math.max(least, Math.min(most, body.clientWidth * 0.6 || most)), Math.max(least, width)));
  const sign = side === 'left' ? 1 : -1;
  let width = Number(widths()[name]) || null;
  const show = () => {
    if (width === null) body.style.removeProperty(`--${name}`);
    else body.style.setProperty(`--${name}`, `${width}px`);
    setAttribute(line, 'aria-valuenow', width ?? usual);
  };
  const set = (wanted) => {
    width = wanted === null ? null : clamp(wanted);
    show();
    keep('browser', KEY, JSON.stringify({ ...widths(), [name]: width ?? undefined }));
  };
  const now = () => (side === 'left' ? line.previousElementSibling : line.nextElementSibling).getBoundingClientRect().width;
  const line = h('div', {
    class: 'splitter', role: 'separator', tabindex: '0', 'aria-orientation': 'vertical', 'aria-label': label, 'aria-valuemin': least, 'aria-valuemax': most,
    title: 'Drag to resize; double-click to reset the width', ondblclick: () => set(null),
    onkeydown: (event) => {
      const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      set(now() + sign * by);
    },
    onpointerdown: (event) => {
      const [from, start] = [event.clientX, now()];
      line.setPointerCapture(event.pointerId);
      line.onpointermove = (moved) => set(start + sign * (moved.clientX - from));
      line.onpointerup = line.onpointercancel = () => (line.onpointermove = null);
      event.preventDefault();
    },
  });
  show();
  return line;
}

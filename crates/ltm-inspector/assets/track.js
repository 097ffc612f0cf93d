// The history at a glance: a stripe for each snapshot, higher for more changes, coloured by reason.

import { kindOf } from './steps.js';

/** Of a stripe, in pixels. */
const WIDEST = 6;
const KINDS = ['start', 'execute', 'transition', 'other'];

/** Draws the stripes; with more snapshots than columns, a column shows the most of its own. */
export function paintTrack(canvas, snapshots) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (width === 0 || height === 0) return;
  Object.assign(canvas, { width, height });
  const colours = Object.fromEntries(KINDS.map((kind) => [kind, colourOf(canvas, kind)]));
  const context = canvas.getContext('2d');
  const columns = Math.min(snapshots.length, Math.floor(width / (3 * ratio)));
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column * snapshots.length) / columns);
    const to = Math.floor(((column + 1) * snapshots.length) / columns);
    let top = snapshots[from];
    for (let i = from + 1; i < to; i += 1) if (snapshots[i].patch.length > top.patch.length) top = snapshots[i];
    const size = Math.max(0.2, Math.min(1, Math.log2(1 + top.patch.length) / 4));
    context.fillStyle = colours[kindOf(top.reason)];
    const wide = Math.max(1, Math.min(width / columns - ratio, WIDEST * ratio));
    // Under the slider's thumb where that is at the snapshot.
    const left = columns > 1 ? (column * (width - WIDEST * ratio)) / (columns - 1) + (WIDEST * ratio - wide) / 2 : 0;
    context.fillRect(left, height * (1 - size), wide, height * size);
  }
}

/** A canvas knows no variables: the browser says what a colour comes to. */
function colourOf(canvas, kind) {
  canvas.style.color = `var(--kind-${kind})`;
  return getComputedStyle(canvas).color;
}

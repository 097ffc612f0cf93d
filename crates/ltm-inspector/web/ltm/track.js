// The history at a glance: a stripe for each snapshot, higher for more changes, coloured by reason.

import { kindOf } from '../data/steps.js';

/** The width of a stripe, in pixels. */
const WIDEST = 6;
const KINDS = ['start', 'execute', 'transition', 'other'];
/** The height of the mark of an error, in pixels. */
const MARK = 4;

/** Draws the stripes; `size`: of the canvas, in pixels of CSS. If there are more snapshots than columns, a column shows its snapshot with the most changes. */
export function paintTrack(canvas, size, snapshots, errors = new Map()) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  if (width === 0 || height === 0) return;
  Object.assign(canvas, { width, height });
  const colours = Object.fromEntries(KINDS.map((kind) => [kind, colourOf(canvas, `--kind-${kind}`)]));
  const context = canvas.getContext('2d');
  const columns = Math.min(snapshots.length, Math.floor(width / (3 * ratio)));
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column * snapshots.length) / columns);
    const to = Math.floor(((column + 1) * snapshots.length) / columns);
    let top = snapshots[from];
    for (let i = from + 1; i < to; i += 1) if (snapshots[i].patch.length > top.patch.length) top = snapshots[i];
    const share = Math.max(0.2, Math.min(1, Math.log2(1 + top.patch.length) / 4));
    context.fillStyle = colours[kindOf(top.reason)];
    const wide = Math.max(1, Math.min(width / columns - ratio, WIDEST * ratio));
    // The stripe of the chosen snapshot is under the slider's thumb.
    const left = columns > 1 ? (column * (width - WIDEST * ratio)) / (columns - 1) + (WIDEST * ratio - wide) / 2 : 0;
    context.fillRect(left, height * (1 - share), wide, height * share);
  }
  context.fillStyle = colourOf(canvas, '--status-error');
  for (const [place, kind] of errors) {
    if (kind !== 'bad') continue;
    const left = snapshots.length > 1 ? (place * (width - WIDEST * ratio)) / (snapshots.length - 1) : 0;
    context.fillRect(left, 0, WIDEST * ratio, MARK * ratio);
  }
}

const known = new Map();

/** A canvas does not know CSS variables: let the browser compute the colour, once for each theme, as it has to restyle the page for that. */
function colourOf(canvas, name) {
  const key = `${name} ${document.documentElement.dataset.theme} ${matchMedia('(prefers-color-scheme: dark)').matches}`;
  if (!known.has(key)) {
    canvas.style.color = `var(${name})`;
    known.set(key, getComputedStyle(canvas).color);
  }
  return known.get(key);
}

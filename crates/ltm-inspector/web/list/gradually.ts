// Draws many changed rows over some frames, so that no frame takes long.

import { effect, signal, type ReadonlySignal } from '@preact/signals';
import type { Row } from 'ltm-live';

/** The most rows that a frame draws anew: each takes a slow CPU some milliseconds. */
const AT_ONCE = 6;

type Rows = readonly Row[];

/** The rows to draw next, on the way from those that are drawn to others: at most so many of them are new or different. */
export function step(drawn: Rows, rows: Rows, most = AT_ONCE): Rows {
  const before = new Map(drawn.map((row) => [row.id, row]));
  return rows.flatMap((row) => {
    const old = before.get(row.id);
    if (old === row || most-- > 0) return row;
    return old ?? [];
  });
}

/** The rows to draw: those of `rows`, at once if few changed, and after some frames if many did. */
export function gradually(rows: ReadonlySignal<Rows | undefined>, leaving: AbortSignal): ReadonlySignal<Rows | undefined> {
  const drawn = signal(rows.peek());
  let wanted = drawn.peek();
  let waiting = false;
  const draw = () => {
    if (leaving.aborted) return;
    // All of these first: no row waits for as long as others change.
    if (isSame(drawn.peek(), wanted)) wanted = rows.peek();
    if (waiting || isSame(drawn.peek(), wanted)) return;
    drawn.value = wanted && step(drawn.peek() ?? [], wanted);
    waiting = true;
    requestAnimationFrame(() => setTimeout(() => {
      waiting = false;
      draw();
    }));
  };
  leaving.addEventListener('abort', effect(() => {
    rows.value;
    draw();
  }));
  return drawn;
}

function isSame(a: Rows | undefined, b: Rows | undefined): boolean {
  return a === b || (a?.length === b?.length && a?.every((row, i) => row === b?.[i]) === true);
}

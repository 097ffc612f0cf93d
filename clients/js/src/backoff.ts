/** Pauses between attempts, in milliseconds. `min` bounds the first pause, `max` bounds every pause. */
export interface Backoff {
  min: number;
  max: number;
}

/** The pause after this many failures: random, so that clients spread, up to a bound that doubles with each failure. */
export function pause({ min, max }: Backoff, failures: number): number {
  return Math.random() * Math.min(max, min * 2 ** failures);
}

/** Waits. An abort signal ends the wait at once, and so does the browser when it is online again. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      globalThis.removeEventListener?.('online', wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal?.addEventListener('abort', wake);
    globalThis.addEventListener?.('online', wake);
    if (signal?.aborted) {
      wake();
    }
  });
}

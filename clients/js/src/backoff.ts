/** Milliseconds: the longest first pause, and the longest of all. */
export interface Backoff {
  min: number;
  max: number;
}

/** How long to wait after so many failures: anything up to twice as long as before, so that clients spread. */
export function pause({ min, max }: Backoff, failures: number): number {
  return Math.random() * Math.min(max, min * 2 ** failures);
}

/** Waits; a signal ends it at once, and so does a page that is online again. */
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

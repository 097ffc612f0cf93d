import type { Change } from './view.js';

/** How many changes may wait for a reader. Beyond that, one `coalesced` reset replaces them. */
const LIMIT = 256;

/** The changes that one `for await` loop has not read yet. */
export class Feed implements AsyncIterator<Change, undefined> {
  private queue: Change[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  constructor(private readonly left: (feed: Feed) => void) {}

  push(change: Change): void {
    if (this.queue.length >= LIMIT) {
      this.queue = [];
      change = { type: 'reset', reason: 'coalesced' };
    }
    this.queue.push(change);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async next(): Promise<IteratorResult<Change, undefined>> {
    while (!this.queue.length && !this.ended) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    const value = this.queue.shift();
    return value ? { value, done: false } : { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<Change, undefined>> {
    this.queue = [];
    this.end();
    this.left(this);
    return { value: undefined, done: true };
  }
}

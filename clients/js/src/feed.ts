/** How many changes may wait for a reader. Beyond that, one `coalesced` reset replaces them. */
const LIMIT = 256;

/** The changes that one `for await` loop has not read yet. */
export class Feed<Change extends object> implements AsyncIterator<Change, undefined> {
  private queue: Change[] = [];
  /** The calls of `next` that wait for a change, in their order. */
  private waiting: ((change?: Change) => void)[] = [];
  private ended = false;

  constructor(private readonly left: (feed: Feed<Change>) => void) {}

  push(change: Change): void {
    const reader = this.waiting.shift();
    if (reader) {
      reader(change);
      return;
    }
    if (this.queue.length >= LIMIT) {
      this.queue = [];
      change = { type: 'reset', reason: 'coalesced' } as Change;
    }
    this.queue.push(change);
  }

  end(): void {
    this.ended = true;
    this.waiting.forEach((reader) => reader());
    this.waiting = [];
  }

  async next(): Promise<IteratorResult<Change, undefined>> {
    const value =
      this.queue.shift() ?? (this.ended ? undefined : await new Promise<Change | undefined>((read) => this.waiting.push(read)));
    return value === undefined ? { value, done: true } : { value, done: false };
  }

  async return(): Promise<IteratorResult<Change, undefined>> {
    this.queue = [];
    this.end();
    this.left(this);
    return { value: undefined, done: true };
  }
}

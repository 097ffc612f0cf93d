// The list: what is asked for, what the services say, and how many there are.

import { computed, effect, signal, type ReadonlySignal } from '@preact/signals';
import { followList, Reader, type Counts, type FollowingList, type ListView, type Row } from 'ltm-live';
import { gatewayIsMissing, ORIGIN } from '../wire/api.js';
import { sockets } from '../wire/wire.js';
import { onToken, refused, token } from '../wire/session.js';
import { gradually } from './gradually.js';
import { narrows, renewal, toQuery, type Filter } from './filter.js';

const EMPTY: ListView = { status: 'connecting', rows: undefined, next: null };
/** The pauses between two counts: while the list changes, and while it does not. */
const SOON = 2_000;
const LATER = 15_000;
/** How long to wait for the gateway before asking whether there is one. */
const PATIENCE = 1_500;

export class ListModel {
  readonly filter;
  /** What the services say. Each change is another object: its rows are never changed in place. */
  readonly view = signal<ListView>(EMPTY);
  /** The rows to show: while another filter loads, those of the one before. */
  readonly rows = signal<readonly Row[] | undefined>(undefined);
  /** Those of them that are drawn: not all at once, if many change. */
  readonly drawn: ReadonlySignal<readonly Row[] | undefined>;
  readonly counts = signal<Counts | undefined>(undefined);
  /** Whether nothing at this address follows lists. */
  readonly missing = signal(false);
  /** LTMs that appeared while the page showed the list. */
  readonly arrived = signal<ReadonlySet<string>>(new Set());
  /** The number of LTMs that the filter lets through, if the counts say it. */
  readonly total = computed(() => this.#total());
  #following: FollowingList | undefined;
  /** The list with a later time range: it takes the place of the other one when it is live. */
  #next: FollowingList | undefined;
  #renewing = 0;
  readonly #leaving = new AbortController();
  #counting = 0;
  #counted = 0;
  /** When the next count is due; Infinity: none is. */
  #due = Infinity;
  #probing = 0;

  constructor(filter: Filter) {
    this.filter = signal(filter);
    const { signal: leaving } = this.#leaving;
    this.drawn = gradually(this.rows, leaving);
    leaving.addEventListener('abort', effect(() => this.#follow(this.filter.value)));
    onToken(() => this.#follow(this.filter.value), leaving);
    document.addEventListener('visibilitychange', () => document.hidden || this.#countIn(0), { signal: leaving });
  }

  destroy(): void {
    this.#leaving.abort();
    this.#following?.close();
    this.#next?.close();
    clearInterval(this.#renewing);
    clearTimeout(this.#counting);
    clearTimeout(this.#probing);
  }

  /** Changes the filter. A change of anything but the page begins at the newest again. */
  ask(wish: Partial<Filter>): void {
    this.filter.value = { ...this.filter.peek(), before: '', ...wish };
  }

  #follow(filter: Filter): void {
    this.#following?.close();
    this.#next?.close();
    this.#next = undefined;
    const handle = this.#open(filter);
    this.#following = handle;
    this.arrived.value = new Set();
    this.view.value = handle.view;
    clearInterval(this.#renewing);
    const pause = renewal(filter);
    if (pause !== undefined) this.#renewing = window.setInterval(() => this.#renew(filter), pause);
    this.#countIn(0);
    this.#probe(PATIENCE);
  }

  /** A time range up to now moves on. The services take times, so they have to be asked again. */
  #renew(filter: Filter): void {
    if (this.view.peek().status !== 'live') return;
    this.#next?.close();
    this.#next = this.#open(filter);
  }

  #open(filter: Filter): FollowingList {
    const handle = followList(ORIGIN.href, toQuery(filter), { token: token() ?? undefined, ...sockets });
    handle.subscribe((view, change) => {
      if (handle === this.#next && view.status === 'live') {
        this.#following?.close();
        [this.#following, this.#next] = [handle, undefined];
      }
      if (handle !== this.#following) return;
      if (change.type === 'change') this.#mark(view, change.rows);
      this.#take(view);
      if (change.type !== 'status') this.#countIn(SOON);
    });
    return handle;
  }

  /** Marks the rows that were not there before, as long as they are. */
  #mark({ rows = [] }: ListView, changed: readonly Row[]): void {
    const known = new Set(this.rows.peek()?.map(({ id }) => id));
    const there = new Set<string>(rows.map(({ id }) => id));
    const ids = [...this.arrived.peek(), ...changed.map(({ id }) => id).filter((id) => !known.has(id))];
    this.arrived.value = new Set(ids.filter((id) => there.has(id)));
  }

  #take(view: ListView): void {
    if (view.status === 'live') this.missing.value = false;
    if (view.error?.status === 401 && this.view.peek().status !== 'failed') refused();
    this.view.value = view;
    if (view.rows) this.rows.value = view.rows;
  }

  /** Where there is no gateway, shows what the API says, again and again. */
  #probe(pause: number): void {
    clearTimeout(this.#probing);
    const handle = this.#following;
    this.#probing = window.setTimeout(async () => {
      const { status } = this.view.peek();
      if (status !== 'connecting' && status !== 'reconnecting') return;
      this.missing.value = await gatewayIsMissing(this.#leaving.signal);
      if (handle !== this.#following || this.#leaving.signal.aborted) return;
      if (this.missing.peek()) await this.#read().catch(() => undefined);
      if (handle === this.#following) this.#probe(LATER);
    }, pause);
  }

  async #read(): Promise<void> {
    const handle = this.#following;
    const { rows, next } = await this.#reader().list(toQuery(this.filter.peek()), { signal: this.#leaving.signal });
    if (handle !== this.#following || !this.missing.peek()) return;
    this.view.value = { status: 'reconnecting', rows, next };
    this.rows.value = rows;
  }

  /** Counts after a pause, or earlier if a count is due earlier: a list that changes all the time is counted, too. */
  #countIn(pause: number): void {
    const now = Date.now();
    const due = pause === 0 && !this.counts.peek() ? now : Math.max(now + pause, this.#counted + SOON);
    if (this.#due <= due) return;
    this.#due = due;
    clearTimeout(this.#counting);
    this.#counting = window.setTimeout(() => this.#count(), due - now);
  }

  async #count(): Promise<void> {
    this.#due = Infinity;
    this.#counted = Date.now();
    const { playground } = this.filter.peek();
    try {
      const counts = await this.#reader().counts({ playground }, { signal: this.#leaving.signal });
      if (playground === this.filter.peek().playground) this.counts.value = counts;
    } catch {
      // The list says what is wrong. Chips without numbers work, too.
      this.counts.value = undefined;
    }
    if (!document.hidden && !this.#leaving.signal.aborted) this.#countIn(LATER);
  }

  #reader(): Reader {
    return new Reader(ORIGIN.href, { token: token() ?? undefined });
  }

  #total(): number | undefined {
    const counts = this.counts.value;
    const { fqn, status, q, since, errors } = this.filter.value;
    if (!counts || q.trim() || since || errors) return undefined;
    if (!narrows(this.filter.value)) return counts.total;
    if (status.length && !fqn) return status.reduce((sum, word) => sum + (counts.status[word] ?? 0), 0);
    return status.length || fqn.endsWith('*') ? undefined : counts.fqn[fqn];
  }
}

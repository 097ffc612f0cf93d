// The list: what is asked for, what the services say, and how many there are.

import { computed, effect, signal } from '@preact/signals';
import { followList, Reader, type Counts, type FollowingList, type ListView, type Row } from 'ltm-live';
import { gatewayIsMissing, ORIGIN } from '../wire/api.js';
import { sockets } from '../wire/wire.js';
import { onToken, refused, token } from '../wire/session.js';
import { narrows, toQuery, type Filter } from './filter.js';

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
  readonly counts = signal<Counts | undefined>(undefined);
  /** Whether nothing at this address follows lists. */
  readonly missing = signal(false);
  /** LTMs that appeared while the page showed the list. */
  readonly arrived = signal<ReadonlySet<string>>(new Set());
  /** The number of LTMs that the filter lets through, if the counts say it. */
  readonly total = computed(() => this.#total());
  #following: FollowingList | undefined;
  readonly #leaving = new AbortController();
  #counting = 0;
  #counted = 0;
  #probing = 0;

  constructor(filter: Filter) {
    this.filter = signal(filter);
    const { signal: leaving } = this.#leaving;
    leaving.addEventListener('abort', effect(() => this.#follow(this.filter.value)));
    onToken(() => this.#follow(this.filter.value), leaving);
    document.addEventListener('visibilitychange', () => document.hidden || this.#countIn(0), { signal: leaving });
  }

  destroy(): void {
    this.#leaving.abort();
    this.#following?.close();
    clearTimeout(this.#counting);
    clearTimeout(this.#probing);
  }

  /** Changes the filter. A change of anything but the page begins at the newest again. */
  ask(wish: Partial<Filter>): void {
    this.filter.value = { ...this.filter.peek(), before: '', ...wish };
  }

  #follow(filter: Filter): void {
    this.#following?.close();
    const handle = followList(ORIGIN.href, toQuery(filter), { token: token() ?? undefined, ...sockets });
    this.#following = handle;
    this.arrived.value = new Set();
    this.view.value = handle.view;
    handle.subscribe((view, change) => {
      if (handle !== this.#following) return;
      const known = new Set(this.rows.peek()?.map(({ id }) => id));
      if (change.type === 'change') this.arrived.value = new Set([...this.arrived.peek(), ...change.rows.map(({ id }) => id).filter((id) => !known.has(id))]);
      this.#take(view);
      if (change.type !== 'status') this.#countIn(SOON);
    });
    this.#countIn(0);
    this.#probe(PATIENCE);
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

  #countIn(pause: number): void {
    const wait = Math.max(pause, this.#counted + SOON - Date.now());
    clearTimeout(this.#counting);
    this.#counting = window.setTimeout(() => this.#count(), pause === 0 && !this.counts.peek() ? 0 : wait);
  }

  async #count(): Promise<void> {
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

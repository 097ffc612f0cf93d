import { sleep } from './backoff.js';
import { Caller, type CallOptions } from './calls.js';
import { parseRows, queryOf, type ListFilter, type Row } from './filter.js';
import type { JsonObject } from './json.js';
import { listPage, type ListPage } from './list.js';
import { idIn, pathOf, withQuery, type Cursor, type Ltm, type Query } from './server.js';
import type { LtmDocument } from './view.js';

/** How a reader reads. */
export type ReaderOptions = CallOptions;

/** How many LTMs there are. */
export interface Counts {
  readonly total: number;
  /** By status; at most the 100 most frequent ones. */
  readonly status: Readonly<Record<string, number>>;
  /** By class; at most the 100 largest ones. */
  readonly fqn: Readonly<Record<string, number>>;
}

/** The state at one point of the history. */
export interface StateAt<State = JsonObject> {
  readonly cursor: Cursor;
  readonly index: number;
  readonly state: State;
}

/** What `Reader.wait` waits for: any of the statuses, a change after the cursor, or both. */
export interface WaitFor {
  status?: string | readonly string[] | undefined;
  after?: string | undefined;
  /** The longest wait, in milliseconds (default: none). */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

interface ReadOptions {
  signal?: AbortSignal | undefined;
}

/** How long one request of `wait` lasts, in milliseconds. */
const POLL = 30_000;
/** The shortest time from one request of `wait` to the next, in milliseconds: an API that stops answers at once. */
const SOONEST = 1_000;

/** Reads LTMs once, for example on a server that renders a page. A rejected call throws a `Problem`. */
export class Reader {
  private readonly caller: Caller;

  /** Reads from the services at `url`, for example `http://localhost:8000`. */
  constructor(url: string | URL, options: ReaderOptions = {}) {
    this.caller = new Caller(url, options, 3);
  }

  /** The LTM with its history, without rollbacks. It is JSON, and `initial` of `followLtm` takes it. */
  async document<State = JsonObject>(ltm: Ltm, options?: ReadOptions): Promise<LtmDocument<State>> {
    return this.get(`api/v0/ltm/${pathOf(ltm)}`, {}, options, async (response) => {
      const text = await response.text();
      const document = JSON.parse(text);
      return { ...document, id: idIn(text), ...exactSource(document, text) };
    });
  }

  /** The state now, after the snapshot with this index, or in the history that a rollback replaced. */
  async state<State = JsonObject>(
    ltm: Ltm,
    { index, rollback, ...options }: { index?: number; rollback?: number } & ReadOptions = {},
  ): Promise<StateAt<State>> {
    const query = { ...(index !== undefined && { index: `${index}` }), ...(rollback !== undefined && { rollback: `${rollback}` }) };
    return this.get(`api/v0/ltm/${pathOf(ltm)}/state`, query, options, async (response) => {
      const { cursor, index, state } = await response.json();
      return { cursor, index, state };
    });
  }

  /** One page of the list, the newest first. `initial` of `followList` takes it. */
  async list(filter: ListFilter = {}, options?: ReadOptions): Promise<ListPage> {
    return this.get('api/v0/ltm', queryOf(filter), options, listPage);
  }

  /** All LTMs of a list, page by page. */
  async *all(filter: ListFilter = {}, options?: ReadOptions): AsyncGenerator<Row, void, undefined> {
    let before = filter.before;
    do {
      const { rows, next } = await this.list({ ...filter, before }, options);
      yield* rows;
      before = next ?? undefined;
    } while (before !== undefined);
  }

  /** Counts LTMs by status and class. */
  async counts(filter: { playground?: boolean | undefined } = {}, options?: ReadOptions): Promise<Counts> {
    return this.get('api/v0/ltm/counts', queryOf(filter), options, (response) => response.json());
  }

  /** Waits until an LTM has one of the statuses, or has left a cursor. Undefined if that took longer than `timeout`. */
  async wait(ltm: Ltm, { status, after, timeout = Infinity, signal }: WaitFor): Promise<Row | undefined> {
    const path = `api/v0/ltm/${pathOf(ltm)}/wait`;
    const query = { ...(status !== undefined && { status: String(status) }), ...(after !== undefined && { after }) };
    const end = performance.now() + timeout;
    for (;;) {
      const begun = performance.now();
      const waits = Math.ceil(Math.max(1, Math.min(POLL, end - begun)));
      const address = withQuery(path, { ...query, timeout: `${waits}ms` });
      const row = await this.caller.call(address, { waits }, signal, async (response) =>
        response.status === 200 ? parseRows<Row>(await response.text()) : undefined,
      );
      if (row || performance.now() >= end) {
        return row;
      }
      await sleep(Math.max(0, SOONEST - (performance.now() - begun)), signal);
    }
  }

  private get<T>(path: string, query: Query, options: ReadOptions | undefined, read: (response: Response) => T | Promise<T>): Promise<T> {
    return this.caller.call(withQuery(path, query), {}, options?.signal, read);
  }
}

/** The id of the LTM that this one is a copy of, as text if a number cannot hold it. */
function exactSource({ source_id }: { source_id?: unknown }, text: string): { source_id?: string } {
  if (typeof source_id !== 'number' || Number.isSafeInteger(source_id)) {
    return {};
  }
  const texts = [...text.matchAll(/"source_id":\s*(\d+)/g)].map((match) => match[1] as string);
  return { source_id: texts.find((each) => Number(each) === source_id) ?? String(BigInt(source_id)) };
}

import { noAnswer, Problem, problemIn } from './problem.js';

/** A token, or a function that returns one. */
export type Token = string | (() => string | Promise<string>);

declare const brand: unique symbol;

/** An LTM's id as text, because a number cannot hold every id exactly. */
export type LtmId = string & { readonly [brand]: 'id' };

/** An id as you pass it: pass a large one as bigint or text. */
export type Id = number | bigint | string;

/** An LTM by its id, or by its class and key. */
export type Ltm = Id | { readonly fqn: string; readonly key: string };

/** A cursor: an opaque text of the services. */
export type Cursor = string & { readonly [brand]: 'cursor' };

/** How long the answer may take to begin (after the wait of the call), and then to arrive completely, in milliseconds. */
const BEGIN = 30_000;
const END = 300_000;

/** A function like the runtime's `fetch`. */
export type Fetch = typeof fetch;

export type Query = Record<string, string>;

export interface Call {
  /** Absent: GET. */
  method?: string;
  headers?: Record<string, string>;
  body?: string | undefined;
  /** How long the server is asked to wait before it answers, in milliseconds. */
  waits?: number;
}

/** Calls the services at one URL. */
export class Server {
  private readonly base: string;

  constructor(
    url: string | URL,
    private readonly fetch: Fetch = (input, init) => globalThis.fetch(input, init),
  ) {
    // As text: the `URL` of some runtimes cannot be changed.
    const text = String(url);
    const absolute = /^https?:\/\//.test(text) ? text : new URL(text, globalThis.location?.href).href;
    this.base = absolute.replace(/[?#][^]*/, '').replace(/\/*$/, '/');
  }

  url(path: string, query: Query = {}): string {
    return this.base + withQuery(path, query);
  }

  /**
   * Makes a call and returns what `read` makes of the answer.
   *
   * @throws {Problem} if there is no answer, or an error answer.
   */
  async ask<T>(
    path: string,
    { waits = 0, ...init }: Call,
    token: string | undefined,
    signal: AbortSignal | undefined,
    read: (response: Response) => T | Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    const late = () => stop.abort(new Error('the answer took too long'));
    let timer = setTimeout(late, BEGIN + waits);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) {
      abort();
    }
    const headers = headersOf(init.headers, token);
    // A browser's `fetch` throws if it is called as a method of another object.
    const { fetch } = this;
    try {
      // A browser caches an answer that broke off, and then treats a 304 as if that answer were complete.
      const request = { ...init, headers, signal: stop.signal, cache: 'no-store', redirect: redirectOf(init) } as RequestInit;
      const response = await fetch(this.base + path, request);
      clearTimeout(timer);
      timer = setTimeout(late, END);
      if (!response.ok && response.status !== 304) {
        throw await problemIn(response);
      }
      return await read(response);
    } catch (error) {
      throw error instanceof Problem ? error : noAnswer(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      // Drop the rest of the answer if nobody read it.
      stop.abort();
    }
  }
}

/** Whether `fetch` follows a redirect. It would send a write on as a GET, whose answer looks as if the write had landed. */
export function redirectOf({ method }: Call): 'follow' | 'manual' {
  return method ? 'manual' : 'follow';
}

export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return pairs.length ? `${path}?${pairs.join('&')}` : path;
}

/** The headers of a call: the client's own, and those of the caller that do not have the same name, however it is written. */
export function headersOf(given: Record<string, string> = {}, token: string | undefined, more: Record<string, string> = {}): Record<string, string> {
  const own = { ...more, ...(token !== undefined && { Authorization: `Bearer ${token}` }) };
  const replaced = new Headers(own);
  return { ...Object.fromEntries(Object.entries(given).filter(([name]) => !replaced.has(name))), ...own };
}

/** The current token. */
export async function tokenOf(token: Token | undefined): Promise<string | undefined> {
  return typeof token === 'function' ? token() : token;
}

/** The largest id: 2^64 - 1. */
export const MAX_ID = '18446744073709551615';

/** What names an LTM in a path, after `api/v0/ltm/`, `ws/` and `sse/`. */
export function pathOf(ltm: Ltm): string {
  if (typeof ltm === 'object') {
    return `by-key/${encodeURIComponent(ltm.fqn)}/${encodeURIComponent(ltm.key)}`;
  }
  const text = String(ltm).replace(/^0+(?=\d)/, '');
  const inRange = /^[1-9]\d{0,19}$/.test(text) && text.padStart(20, '0') <= MAX_ID;
  if (!inRange || (typeof ltm === 'number' && !Number.isSafeInteger(ltm))) {
    throw new TypeError(`${text} is no LTM id: pass a whole number from 1, or text`);
  }
  return text;
}

/** The id in an answer or a message, as text. It is the first member. */
export function idIn(json: string): LtmId {
  return (/"id":\s*(\d+)/.exec(json)?.[1] ?? '') as LtmId;
}

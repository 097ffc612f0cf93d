import { noAnswer, Problem, problemIn } from './problem.js';

/** A token, or a function that returns one. */
export type Token = string | (() => string | Promise<string>);

/** How long the answer may take to begin, and then to arrive completely, in milliseconds. */
const BEGIN = 30_000;
const END = 300_000;

export type Fetch = typeof fetch;

/** Calls the services at one URL. */
export class Server {
  private readonly base: URL;

  constructor(
    url: string | URL,
    private readonly fetch: Fetch = (input, init) => globalThis.fetch(input, init),
  ) {
    this.base = new URL(url, globalThis.location?.href);
    this.base.search = this.base.hash = '';
    this.base.pathname = this.base.pathname.replace(/\/*$/, '/');
  }

  url(path: string, query: Record<string, string> = {}): string {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(query)) {
      url.searchParams.set(name, value);
    }
    return url.href;
  }

  /**
   * Makes a call and returns what `read` makes of the answer.
   *
   * @throws {Problem} if there is no answer, or an error answer.
   */
  async ask<T>(
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: string | undefined },
    token: string | undefined,
    signal: AbortSignal | undefined,
    read: (response: Response) => T | Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    const late = () => stop.abort(new Error('the answer took too long'));
    let timer = setTimeout(late, BEGIN);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) {
      abort();
    }
    const headers = token === undefined ? init.headers : { ...init.headers, Authorization: `Bearer ${token}` };
    // A browser's `fetch` throws if it is called as a method of another object.
    const { fetch } = this;
    try {
      // A browser caches an answer that broke off, and then treats a 304 as if that answer were complete.
      const request = { ...init, headers, signal: stop.signal, cache: 'no-store' } as RequestInit;
      const response = await fetch(this.url(path), request);
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

/** The current token. */
export async function tokenOf(token: Token | undefined): Promise<string | undefined> {
  return typeof token === 'function' ? token() : token;
}

/** An LTM by its id (a large one as bigint or text, because a number cannot hold every id exactly), or by its class and key. */
export type Ltm = number | bigint | string | { readonly fqn: string; readonly key: string };

/** What names an LTM in a path. */
export function pathOf(ltm: Ltm): string {
  if (typeof ltm === 'object') {
    return `by-key/${encodeURIComponent(ltm.fqn)}/${encodeURIComponent(ltm.key)}`;
  }
  const text = String(ltm);
  if (!/^\d+$/.test(text) || (typeof ltm === 'number' && !Number.isSafeInteger(ltm))) {
    throw new TypeError(`${text} is not an LTM id: pass a whole number; a large one as bigint or string`);
  }
  return text;
}

/** The id in an answer or a message, as text. It is the first member. */
export function idIn(json: string): string {
  return /"id":\s*(\d+)/.exec(json)?.[1] ?? '';
}

import { pause, sleep, type Backoff } from './backoff.js';
import { Feed } from './feed.js';
import type { JsonObject } from './json.js';
import { openSocket, openSource, type End, type Link, type SocketConstructor, type SourceConstructor } from './link.js';
import { Problem, problemOf } from './problem.js';
import { idIn, pathOf, Server, tokenOf, type Fetch, type Ltm, type Token } from './server.js';
import { emptyView, withDocument, withMessage, withPage, type Change, type Document, type Message, type Status, type View } from './view.js';

/** How to follow an LTM. */
export interface FollowOptions {
  /** The JWT or API key, if the services require one. The client calls a function before each connection. */
  token?: Token | undefined;
  /** Stops following when it aborts, as `close` does. */
  signal?: AbortSignal | undefined;
  /** Whether to keep the history (default true). `false`: keep only the state, and fetch no document. */
  history?: boolean | undefined;
  /**
   * Whether to fetch the rollbacks that happened before (default false): the history before each of them, which can be
   * much. Without this, `view.rollbacks` begins with the next rollback.
   */
  rollbacks?: boolean | undefined;
  /** The `fetch` to use (default: the runtime's). */
  fetch?: Fetch | undefined;
  /** The WebSocket to use (default: the runtime's). If the runtime has none: `import WebSocket from 'ws'`. */
  WebSocket?: SocketConstructor | undefined;
  /** The EventSource to use if no WebSocket opens (default: the runtime's). `false`: use WebSockets only. */
  EventSource?: SourceConstructor | false | undefined;
  /** Pauses between connections, in milliseconds (default `{ min: 200, max: 10000 }`). */
  backoff?: Partial<Backoff> | undefined;
  /**
   * After about this many milliseconds without a message (default 60000), the client asks the API whether it missed
   * an entry: a script does not see the gateway's pings. `false`: never.
   */
  watchdog?: number | false | undefined;
}

/** An LTM that the client follows. `for await` gives each change from then on. */
export interface Following<State = JsonObject> extends AsyncIterable<Change> {
  /** The LTM as it is now. Each change creates another object. */
  readonly view: View<State>;
  /** Calls the listener after each change. Returns a function that removes the listener. */
  subscribe(listener: (view: View<State>, change: Change) => void): () => void;
  /** Stops following. */
  close(): void;
  /** Resolves when following has ended for any reason; `view.status` says which. */
  readonly closed: Promise<void>;
}

/**
 * Follows an LTM: fetches its document, and keeps the view up to date across disconnects until you call `close`.
 *
 * @param url Where the services are, for example `http://localhost:8000`.
 * @param ltm The id of the LTM, or `{ fqn, key }`.
 */
export function followLtm<State = JsonObject>(
  url: string | URL,
  ltm: Ltm,
  options: FollowOptions = {},
): Following<State> {
  return new Follower(new Server(url, options.fetch), ltm, options) as unknown as Following<State>;
}

const BACKOFF = { min: 200, max: 10_000 };
const WATCHDOG = 60_000;
/** The longest pause after the gateway restarts. It is short: a gateway spreads its closes over time. */
const SOON = 1_000;
/** The first "over a limit" counts as this many failures, so that the pause is long. */
const OVER_LIMIT = 4;

type Listener = (view: View, change: Change) => void;

class Follower implements Following {
  view: View;
  readonly closed: Promise<void>;
  /** What names the LTM in a path. */
  private readonly path: string;
  private readonly listeners = new Set<Listener>();
  private readonly feeds = new Set<Feed>();
  private readonly stop = new AbortController();
  private readonly history: boolean;
  private readonly backoff: Backoff;
  private readonly WebSocket: SocketConstructor | undefined;
  private readonly EventSource: SourceConstructor | false | undefined;
  /** Failures since the client was last live. */
  private failures = 0;
  /** Whether the client must fetch the view before it connects. */
  private stale = true;
  /** The change to report when the document has been fetched again. */
  private reload: Change = { type: 'document' };
  /** Whether the last connection ended with a message that does not apply to the view. */
  private misfit = false;
  /** Whether the services rejected the last token. */
  private refused = false;
  /** Whether to try Server-Sent Events next, because no WebSocket opened. */
  private events = false;

  constructor(
    private readonly server: Server,
    ltm: Ltm,
    private readonly options: FollowOptions,
  ) {
    this.path = pathOf(ltm);
    this.view = emptyView(ltm);
    this.history = options.history ?? true;
    this.backoff = { ...BACKOFF, ...options.backoff };
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.EventSource = options.EventSource ?? globalThis.EventSource;
    if (!this.WebSocket && !this.EventSource) {
      throw new TypeError("this runtime has no WebSocket: pass one in the options, from the package 'ws'");
    }
    const { signal } = options;
    const close = () => this.close();
    this.closed = new Promise((resolve) => {
      this.stop.signal.addEventListener('abort', () => {
        signal?.removeEventListener('abort', close);
        resolve();
      });
    });
    signal?.addEventListener('abort', close);
    if (signal?.aborted) {
      close();
    }
    void this.run();
  }

  subscribe(listener: Listener): () => void {
    // A caller may subscribe the same function twice.
    const own: Listener = (view, change) => listener(view, change);
    this.listeners.add(own);
    return () => void this.listeners.delete(own);
  }

  [Symbol.asyncIterator](): AsyncIterator<Change> {
    const feed = new Feed((left) => this.feeds.delete(left));
    if (this.stop.signal.aborted) {
      feed.end();
    } else {
      this.feeds.add(feed);
    }
    return feed;
  }

  close(): void {
    this.finish('closed');
  }

  /** Whether following has ended. */
  private get over(): boolean {
    return this.stop.signal.aborted;
  }

  private async run(): Promise<void> {
    // Let the caller subscribe first.
    await null;
    while (!this.over) {
      let wait: number;
      try {
        wait = await this.session();
      } catch (error) {
        wait = this.failed(error);
      }
      if (!this.over) {
        await sleep(wait, this.stop.signal);
      }
    }
  }

  /** Follows over one connection for as long as it lasts. Returns the pause before the next one. */
  private async session(): Promise<number> {
    const token = await tokenOf(this.options.token);
    if (this.history && this.stale) {
      await this.load(token);
    }
    const query: Record<string, string> = { live: '1' };
    const { cursor } = this.view;
    if (cursor !== null && !this.stale) {
      query.after = cursor;
    } else {
      query.init = 'state';
    }
    if (token !== undefined) {
      query.ticket = await this.ticket(token);
    }
    this.refused = false;
    if (this.over) {
      return 0;
    }
    const end = await this.connection(query, token);
    if (!end.opened && !this.over) {
      await this.askWhy(token);
    }
    return this.over ? 0 : this.ended(end);
  }

  private async load(token: string | undefined): Promise<void> {
    let from: number | undefined;
    let document: Document | undefined;
    do {
      const query = this.options.rollbacks ? `?rollbacks=true&from_rollback=${from ?? 0}` : '';
      const path = `api/v0/ltm/${this.path}${query}`;
      const page: Document = await this.server.ask(path, {}, token, this.stop.signal, (response) => response.json());
      document = withPage(document, page);
      from = page.next_rollback;
    } while (from !== undefined);
    this.stale = false;
    this.emit(withDocument(this.view, document), this.reload);
    this.reload = { type: 'document' };
  }

  private async ticket(token: string): Promise<string> {
    const init = { method: 'POST' };
    const read = (response: Response) => response.json();
    return (await this.server.ask('api/v0/ws-ticket', init, token, this.stop.signal, read)).ticket;
  }

  /** Asks the API why a connection did not open, because a script does not see the reason. Throws the answer. */
  private async askWhy(token: string | undefined): Promise<void> {
    if (!this.history && this.failures === 0) {
      // The smallest answer that the API has.
      await this.server.ask(`api/v0/ltm/${this.path}/snapshots?limit=1`, {}, token, this.stop.signal, () => {});
    }
  }

  /** Opens a connection and applies its messages until it ends. */
  private async connection(query: Record<string, string>, token: string | undefined): Promise<End> {
    const { WebSocket, EventSource } = this;
    const events = EventSource && (this.events || !WebSocket);
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let link: Link | undefined;
    let over = false;
    let close = () => {};
    const end = await new Promise<End>((resolve) => {
      const finish = (code: number, reason: string) => {
        link?.close();
        resolve({ code, reason, opened: true });
      };
      const look = () => {
        const { watchdog = WATCHDOG } = this.options;
        clearTimeout(quiet);
        if (watchdog && !over) {
          const again = async () => ((await this.missed(token, watchdog / 10)) ? finish(1006, 'no message arrived') : look());
          // Random, so that clients that connected together do not ask together.
          quiet = setTimeout(again, watchdog * (0.75 + Math.random() / 2));
        }
      };
      const ear = {
        text: (data: string) => {
          look();
          const end = this.take(data);
          if (end) {
            finish(end.code, end.reason);
          }
        },
        end: resolve,
      };
      close = () => finish(1000, '');
      this.stop.signal.addEventListener('abort', close);
      look();
      link = events
        ? openSource(EventSource, this.server.url(`sse/${this.path}`, query), ear)
        : openSocket(WebSocket as SocketConstructor, this.server.url(`ws/${this.path}`, query).replace(/^http/, 'ws'), ear);
    });
    over = true;
    clearTimeout(quiet);
    this.stop.signal.removeEventListener('abort', close);
    this.events = !end.opened && !events;
    return end;
  }

  /** Applies a message. Returns the reason if the connection has to end. */
  private take(data: string): { code: number; reason: string } | undefined {
    let next;
    try {
      const message = JSON.parse(data) as Message;
      if (message.end) {
        return message.end;
      }
      if (message.deleted) {
        this.finish('deleted', undefined, message.cursor);
        return;
      }
      if (!this.view.id) {
        this.view = { ...this.view, id: idIn(data) };
      }
      if (message.reset && this.history) {
        this.reload = { type: 'reset', reason: message.reset.reason };
      }
      next = withMessage(this.view, message, this.history);
      if (next && message.live) {
        this.live(next[0]);
        return;
      }
    } catch (error) {
      this.misfit = true;
      this.failures++;
      next = null;
    }
    if (!next) {
      this.stale = true;
      return { code: 4409, reason: 'the message does not apply' };
    }
    const [view, change] = next;
    if (change) {
      this.stale = this.misfit = false;
      this.emit(view, change);
    } else {
      this.view = view;
    }
    return;
  }

  private live(view: View): void {
    if (!this.misfit) {
      this.failures = 0;
    }
    if (view.status === 'live' && !view.error) {
      // The gateway repeats it after a later reset.
      this.view = view;
      return;
    }
    const { error: _, ...live } = { ...view, status: 'live' as const };
    this.emit(live, { type: 'status', status: 'live' });
  }

  /** Whether the log has an entry that does not arrive within `grace`. False if the API does not answer. */
  private async missed(token: string | undefined, grace: number): Promise<boolean> {
    const { cursor } = this.view;
    const init = { headers: { 'If-None-Match': `"${cursor}"` } };
    const read = ({ status }: Response) => status !== 304;
    try {
      if (cursor === null || (await this.server.ask(`api/v0/ltm/${this.path}`, init, token, this.stop.signal, read))) {
        await sleep(grace, this.stop.signal);
        return this.view.cursor === cursor;
      }
    } catch {
      // The API may be unavailable while the gateway is not.
    }
    return false;
  }

  /** Handles the end of a connection. Returns the pause before the next one. */
  private ended({ code, reason }: End): number {
    switch (code) {
      case 4401:
        return this.failed(problemOf('unauthenticated', 401, reason));
      case 4403:
        return this.failed(problemOf('forbidden', 403, reason));
      case 4404:
        return this.failed(problemOf('unknown-ltm', 404, reason));
      case 4410:
        return this.finish('deleted');
      case 4409:
        this.stale = true;
        break;
      case 1012:
        this.waiting();
        return Math.random() * SOON;
      case 1013:
        this.failures = Math.max(this.failures + 1, OVER_LIMIT);
        break;
      default:
        this.failures++;
    }
    this.waiting(new Problem({ title: 'Disconnected', detail: `${reason || 'the connection was lost'} (${code})` }));
    return pause(this.backoff, this.failures - 1);
  }

  /** Handles an error answer, or none. Returns the pause before the next attempt. */
  private failed(error: unknown): number {
    const problem = error instanceof Problem ? error : new Problem({ detail: String(error) }, { cause: error });
    const { status, passes, retryAfter = 0 } = problem;
    // A function may return another token now.
    const renews = status === 401 && typeof this.options.token === 'function' && !this.refused;
    this.refused = status === 401;
    if (status === 410) {
      return this.finish('deleted');
    }
    // If there is a view already, an error without a known kind may come from a proxy without a service behind it.
    if (!passes && !renews && (problem.kind || this.view.cursor === null)) {
      return this.finish('failed', problem);
    }
    this.failures++;
    this.waiting(problem);
    return Math.max(pause(this.backoff, this.failures - 1), Math.min(retryAfter * 1000, this.backoff.max));
  }

  private waiting(error?: Problem): void {
    const { error: _, status: before, ...rest } = this.view;
    const status = before === 'connecting' ? before : 'reconnecting';
    this.emit({ ...rest, status, ...(error && { error }) }, { type: 'status', status });
  }

  private finish(status: Status, error?: Problem, cursor = this.view.cursor): number {
    if (!this.over) {
      const { error: _, ...rest } = this.view;
      const view = { ...rest, status, cursor, ...(error && { error }) };
      this.stop.abort();
      this.emit(view, status === 'deleted' ? { type: status } : { type: 'status', status });
      this.feeds.forEach((feed) => feed.end());
      this.feeds.clear();
      this.listeners.clear();
    }
    return 0;
  }

  private emit(view: View, change: Change): void {
    this.view = view;
    this.feeds.forEach((feed) => feed.push(change));
    for (const listener of [...this.listeners]) {
      try {
        listener(view, change);
      } catch (error) {
        // Report it as the listener's error; the other listeners still get the change.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

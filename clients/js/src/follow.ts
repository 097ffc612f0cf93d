import { pause, sleep, type Backoff } from './backoff.js';
import { Feed } from './feed.js';
import type { JsonObject } from './json.js';
import { openSocket, openSource, type End, type Link, type SocketConstructor, type SourceConstructor } from './link.js';
import { Problem, problemOf } from './problem.js';
import { idOf, Server, tokenOf, type Fetch, type Token } from './server.js';
import { emptyView, withDocument, withMessage, type Change, type Message, type Status, type View } from './view.js';

export interface FollowOptions {
  /** Who calls, where the services ask. A function is asked anew for each connection. */
  token?: Token | undefined;
  /** Ends it, as `close` does. */
  signal?: AbortSignal | undefined;
  /** Whether the history is kept; without it only the state is asked for, and no document is fetched. */
  history?: boolean | undefined;
  fetch?: Fetch | undefined;
  /** What opens WebSockets, where the runtime has none: `import WebSocket from 'ws'`. */
  WebSocket?: SocketConstructor | undefined;
  /** What is used where no WebSocket can be opened; false: nothing. */
  EventSource?: SourceConstructor | false | undefined;
  /** Milliseconds between connections; each pause is random, up to twice as long as before. */
  backoff?: Partial<Backoff> | undefined;
  /**
   * After about so many milliseconds of silence it is asked whether something was missed, because a script sees no
   * pings; false: never.
   */
  watchdog?: number | false | undefined;
}

/** An LTM that is followed. Iterating gives each change from then on. */
export interface Following<State = JsonObject> extends AsyncIterable<Change> {
  /** The LTM as of now: another object after each change. */
  readonly view: View<State>;
  /** Calls the listener after each change; gives what ends that. */
  subscribe(listener: (view: View<State>, change: Change) => void): () => void;
  /** Ends it. */
  close(): void;
  /** Resolves once it has ended, for whatever reason; `view.status` says which. */
  readonly closed: Promise<void>;
}

/** Follows an LTM: fetches it, and keeps the view as the server has it until it ends. */
export function followLtm<State = JsonObject>(
  url: string | URL,
  id: number | bigint | string,
  options: FollowOptions = {},
): Following<State> {
  return new Follower(new Server(url, options.fetch), idOf(id), options) as unknown as Following<State>;
}

const BACKOFF = { min: 200, max: 10_000 };
const WATCHDOG = 60_000;
/** Within how long to come back after a restart of the gateway, which spreads its closes itself. */
const SOON = 1_000;
/** As which failure the first "over a limit" counts. */
const OVER_LIMIT = 4;

type Listener = (view: View, change: Change) => void;

class Follower implements Following {
  view: View;
  readonly closed: Promise<void>;
  private readonly listeners = new Set<Listener>();
  private readonly feeds = new Set<Feed>();
  private readonly stop = new AbortController();
  private readonly history: boolean;
  private readonly backoff: Backoff;
  private readonly WebSocket: SocketConstructor | undefined;
  private readonly EventSource: SourceConstructor | false | undefined;
  /** Failures since it was live. */
  private failures = 0;
  /** Whether the view has to be fetched before anything else. */
  private stale = true;
  /** Why it was fetched again. */
  private reload: Change = { type: 'document' };
  /** Whether the last connection ended with a message that did not fit. */
  private misfit = false;
  /** Whether the last answer was that the token is not good. */
  private refused = false;
  /** Whether Server-Sent Events are tried next, because no WebSocket was opened. */
  private events = false;

  constructor(
    private readonly server: Server,
    private readonly id: string,
    private readonly options: FollowOptions,
  ) {
    this.view = emptyView(id);
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
    // The same function may be given twice.
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

  /** Whether it has ended. */
  private get over(): boolean {
    return this.stop.signal.aborted;
  }

  private async run(): Promise<void> {
    // Whoever called gets to subscribe first.
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

  /** Follows over one connection for as long as it lasts; gives how long to wait before the next. */
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
    const path = `api/v0/ltm/${this.id}?rollbacks=true`;
    const document = await this.server.ask(path, {}, token, this.stop.signal, (response) => response.json());
    this.stale = false;
    this.emit(withDocument(this.view, document), this.reload);
    this.reload = { type: 'document' };
  }

  private async ticket(token: string): Promise<string> {
    const init = { method: 'POST' };
    const read = (response: Response) => response.json();
    return (await this.server.ask('api/v0/ws-ticket', init, token, this.stop.signal, read)).ticket;
  }

  /** Finds out why no connection was opened, where a script sees only that: the document may be refused, too. */
  private async askWhy(token: string | undefined): Promise<void> {
    if (!this.history && this.failures === 0) {
      // The smallest answer there is.
      await this.server.ask(`api/v0/ltm/${this.id}/snapshots?limit=1`, {}, token, this.stop.signal, () => {});
    }
  }

  /** Opens a connection and takes what comes, until it ends. */
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
          const again = async () => ((await this.missed(token, watchdog / 10)) ? finish(1006, 'it went silent') : look());
          // Spread, so that those who connected together do not ask together.
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
        ? openSource(EventSource, this.server.url(`sse/${this.id}`, query), ear)
        : openSocket(WebSocket as SocketConstructor, this.server.url(`ws/${this.id}`, query).replace(/^http/, 'ws'), ear);
    });
    over = true;
    clearTimeout(quiet);
    this.stop.signal.removeEventListener('abort', close);
    this.events = !end.opened && !events;
    return end;
  }

  /** Takes a message; gives why the connection has to end, if so. */
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
      return { code: 4409, reason: 'it has to be fetched again' };
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
    const { error: _, ...live } = { ...view, status: 'live' as const };
    this.emit(live, { type: 'status', status: 'live' });
  }

  /** Whether the server has something that does not arrive within the grace. Not knowing is no reason to let go. */
  private async missed(token: string | undefined, grace: number): Promise<boolean> {
    const { cursor } = this.view;
    const init = { headers: { 'If-None-Match': `"${cursor}"` } };
    const read = ({ status }: Response) => status !== 304;
    try {
      if (cursor === null || (await this.server.ask(`api/v0/ltm/${this.id}`, init, token, this.stop.signal, read))) {
        await sleep(grace, this.stop.signal);
        return this.view.cursor === cursor;
      }
    } catch {
      // The API may be away where the gateway is not.
    }
    return false;
  }

  /** What the end of a connection means; gives how long to wait before the next. */
  private ended({ code, reason }: End): number {
    switch (code) {
      case 4404:
        return this.finish('failed', problemOf('unknown-ltm', 404, reason));
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

  /** What it means that the server did not answer, or refused; gives how long to wait before the next try. */
  private failed(error: unknown): number {
    const problem = error instanceof Problem ? error : new Problem({ detail: String(error) }, { cause: error });
    const { status, passes, retryAfter = 0 } = problem;
    // A function may have another token by now.
    const renews = status === 401 && typeof this.options.token === 'function' && !this.refused;
    this.refused = status === 401;
    if (status === 410) {
      return this.finish('deleted');
    }
    // What refuses once something was there may be a proxy without a service behind it.
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
        // It is the listener's fault, and nobody else misses anything for it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

import { pause, sleep, type Backoff } from './backoff.js';
import { OwnConnection, socketsOf, type Channel, type Sockets } from './channel.js';
import { Feed } from './feed.js';
import type { End, Link } from './link.js';
import { Problem, problemOf, type ProblemKind } from './problem.js';
import { tokenOf, type Fetch, type Query, type Server, type Token } from './server.js';
import type { Status } from './view.js';

/** How to connect. */
export interface ConnectOptions extends Sockets {
  /** The JWT or API key, if the services require one. The client calls a function before each connection. */
  token?: Token | undefined;
  /** Stops following when it aborts, as `close` does. */
  signal?: AbortSignal | undefined;
  /** The `fetch` to use (default: the runtime's). */
  fetch?: Fetch | undefined;
  /** Pauses between connections, in milliseconds (default `{ min: 200, max: 10000 }`). */
  backoff?: Partial<Backoff> | undefined;
  /**
   * After about this many milliseconds without a message (default 60000), the client asks the API whether it missed
   * an entry: a script does not see the gateway's pings. `false`: never.
   */
  watchdog?: number | false | undefined;
}

/** Something that the client follows. `for await` gives each change from then on. */
export interface Followed<View, Change> extends AsyncIterable<Change> {
  /** What is followed as it is now. Each change creates another object. */
  readonly view: View;
  /** Calls the listener after each change. Returns a function that removes the listener. */
  subscribe(listener: (view: View, change: Change) => void): () => void;
  /** Stops following. */
  close(): void;
  /** Resolves when following has ended for any reason; `view.status` says which. */
  readonly closed: Promise<void>;
}

/** What a session needs of a view. */
interface Facts {
  readonly status: Status;
  readonly error?: Problem;
  /** Null until something is known. */
  readonly cursor: string | null;
}

type StatusChange = { type: 'deleted' } | { type: 'status'; status: Status };

export const BACKOFF: Backoff = { min: 200, max: 10_000 };
const WATCHDOG = 60_000;
/** The pause after the gateway restarts is short: a gateway spreads its closes over time. */
const SOON = 1_000;
/** The first "over a limit" counts as this many failures, so that the pause is long. */
const OVER_LIMIT = 3;

/** The close codes that stand for an error answer. */
const REFUSALS: Record<number, [ProblemKind, number]> = {
  4401: ['unauthenticated', 401],
  4403: ['forbidden', 403],
  4404: ['unknown-ltm', 404],
};

/** Whether there is no API at the address: it may be that of a gateway alone. */
function isAbsent(error: unknown): boolean {
  return error instanceof Problem && error.kind === 'not-found';
}

function unlessAbsent(error: unknown): void {
  if (!isAbsent(error)) {
    throw error;
  }
}

/** Keeps one connection, and with it a view, until it is closed. */
export abstract class Session<View extends Facts, Change extends { type: string }> implements Followed<View, Change> {
  readonly closed: Promise<void>;
  protected readonly stop = new AbortController();
  private readonly listeners = new Set<(view: View, change: Change) => void>();
  private readonly feeds = new Set<Feed<Change>>();
  private readonly backoff: Backoff;
  /** Failures since a connection last lasted. */
  private failures = 0;
  /** When the connection went live; 0 if it is not. */
  private since = 0;
  /** Whether the services rejected the last token. */
  private refused = false;
  /** Whether the API has said, since the view was last live, that nothing is in the way. */
  private cleared = false;

  constructor(
    protected readonly server: Server,
    public view: View,
    protected readonly options: ConnectOptions,
    private readonly channel: Channel = new OwnConnection(server, socketsOf(options)),
  ) {
    this.backoff = { ...BACKOFF, ...options.backoff };
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

  /** Fetches what the next connection goes on from. */
  protected abstract prepare(token: string | undefined): Promise<void>;
  /** What to connect to. */
  protected abstract target(): { path: string; query: Query };
  /** Applies a message. Returns the reason if the connection has to end; throws if the message does not apply. */
  protected abstract take(data: string): Omit<End, 'opened'> | undefined;
  /** Whether the API has something that the view lacks. Throws an error answer. */
  protected abstract behind(token: string | undefined): Promise<boolean>;
  /** Asks the API why a connection did not open, because a script does not see the reason. Throws the answer. */
  protected abstract askWhy(token: string | undefined): Promise<unknown>;
  /** Has the view fetched again before the next connection. */
  protected abstract forget(): void;

  subscribe(listener: (view: View, change: Change) => void): () => void {
    // A caller may subscribe the same function twice.
    const own = (view: View, change: Change) => listener(view, change);
    this.listeners.add(own);
    return () => void this.listeners.delete(own);
  }

  [Symbol.asyncIterator](): AsyncIterator<Change, undefined> {
    const feed = new Feed<Change>((left) => this.feeds.delete(left));
    if (this.over) {
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
  get over(): boolean {
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
      await sleep(wait, this.stop.signal);
    }
  }

  /** Follows over one connection for as long as it lasts. Returns the pause before the next one. */
  private async session(): Promise<number> {
    const token = await tokenOf(this.options.token);
    await this.prepare(token);
    if (this.over) {
      return 0;
    }
    const end = await this.connection(token);
    if (this.since && performance.now() - this.since > this.backoff.max) {
      this.failures = 0;
    }
    this.since = 0;
    if (!end.opened && !this.over && !this.cleared) {
      await this.askWhy(token).catch(unlessAbsent);
      this.cleared = true;
    }
    return this.over ? 0 : this.ended(end);
  }

  /** Opens a connection and applies its messages until it ends. */
  private async connection(token: string | undefined): Promise<End> {
    const { signal } = this.stop;
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let link: Link | undefined;
    let over = false;
    let close = () => {};
    try {
      return await new Promise<End>((resolve, reject) => {
        const finish = (code: number, reason: string) => {
          over = true;
          link?.close();
          resolve({ code, reason, opened: true });
        };
        const look = () => {
          const { watchdog = WATCHDOG } = this.options;
          clearTimeout(quiet);
          if (watchdog && !over) {
            const grace = watchdog / 10;
            const again = async () =>
              (await (link?.answers ? link.answers(grace).then((it) => !it) : this.missed(token, grace)))
                ? finish(1006, 'no message arrived')
                : look();
            // Random, so that clients that connected together do not ask together.
            quiet = setTimeout(again, watchdog * (0.75 + Math.random() / 2));
          }
        };
        const ear = {
          text: (data: string) => {
            if (!over) {
              look();
              let end;
              try {
                end = this.take(data);
              } catch (error) {
                end = { code: 4409, reason: `a message does not apply: ${error}` };
              }
              if (end) {
                finish(end.code, end.reason);
              }
            }
          },
          end: resolve,
        };
        close = () => finish(1000, '');
        signal.addEventListener('abort', close);
        look();
        this.channel.open({ ...this.target(), token, signal }, ear).then((opened) => {
          link = opened;
          if (over) {
            link.close();
          }
        }, reject);
      });
    } finally {
      over = true;
      clearTimeout(quiet);
      signal.removeEventListener('abort', close);
    }
  }

  /** Whether something is due that does not arrive within `grace`: an entry, or the end, if the API refuses for good. */
  private async missed(token: string | undefined, grace: number): Promise<boolean> {
    const { view } = this;
    // The API may be unavailable while the gateway is not.
    const due = await this.behind(token).catch((error: Problem) => !error.passes && !isAbsent(error));
    if (due) {
      await sleep(grace, this.stop.signal);
    }
    return due && this.view === view;
  }

  /** Says that the view is current. */
  protected live(view: View): void {
    this.refused = this.cleared = false;
    this.since ||= performance.now();
    if (view.status === 'live' && !view.error) {
      // The gateway repeats it after a later reset.
      this.view = view;
      return;
    }
    this.emit(withStatus(view, 'live'), { type: 'status', status: 'live' });
  }

  /** Handles the end of a connection. Returns the pause before the next one. */
  private ended({ code, reason }: End): number {
    const refusal = REFUSALS[code];
    if (refusal) {
      return this.failed(problemOf(...refusal, reason));
    }
    if (code === 4410) {
      return this.finish('deleted');
    }
    if (code === 1012) {
      this.waiting();
      return pause({ ...this.backoff, min: SOON }, this.failures++);
    }
    if (code === 1013) {
      this.failures = Math.max(this.failures, OVER_LIMIT);
    }
    if (code === 4409) {
      this.forget();
    }
    this.waiting(new Problem({ detail: `${reason || 'the connection was lost'} (${code})` }));
    return pause(this.backoff, this.failures++);
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
    this.waiting(problem);
    return Math.max(pause(this.backoff, this.failures++), Math.min(retryAfter * 1000, this.backoff.max));
  }

  private waiting(error?: Problem): void {
    const status = /^(live|reconnecting)$/.test(this.view.status) ? 'reconnecting' : 'connecting';
    this.emit(withStatus(this.view, status, error), { type: 'status', status });
  }

  protected finish(status: Status, error?: Problem, view: View = this.view): number {
    if (!this.over) {
      this.stop.abort();
      this.tell(withStatus(view, status, error), status === 'deleted' ? { type: status } : { type: 'status', status });
      this.feeds.forEach((feed) => feed.end());
      this.feeds.clear();
      this.listeners.clear();
    }
    return 0;
  }

  protected emit(view: View, change: Change | StatusChange): void {
    if (!this.over) {
      this.tell(view, change);
    }
  }

  private tell(view: View, change: Change | StatusChange): void {
    this.view = view;
    this.feeds.forEach((feed) => feed.push(change as Change));
    for (const listener of [...this.listeners]) {
      try {
        listener(view, change as Change);
      } catch (error) {
        // Report it as the listener's error; the other listeners still get the change.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function withStatus<View extends Facts>(view: View, status: Status, error?: Problem): View {
  const { error: _, ...rest } = view;
  return { ...rest, status, ...(error && { error }) } as unknown as View;
}

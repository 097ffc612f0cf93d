import { Observable } from 'rxjs';
import { pause, sleep, type Backoff } from '../backoff.js';
import { noAnswer, Problem, problemIn } from '../problem.js';
import { headersOf, redirectOf, tokenOf, withQuery, type Fetch, type Query, type Server, type Token } from '../server.js';
import { eventsIn } from './events.js';
import { Joined, type Event } from './joined.js';

/** How to connect to ltm-live. */
export interface RunOptions {
  /** The JWT or API key, if the services require one. A function is called before each attempt. */
  token?: Token | undefined;
  /** The `fetch` to use (default: the runtime's). */
  fetch?: Fetch | undefined;
  /**
   * Pauses between attempts, in milliseconds (default `{ min: 100, max: 5000 }`). A connection that ends within `max` counts
   * as a failure.
   */
  backoff?: Partial<Backoff> | undefined;
  /**
   * After how many milliseconds without a byte a connection counts as lost (default 60000). It must be longer than
   * `gateway.ping_interval` (default 20 s).
   */
  silence?: number | undefined;
}

/** What to read. */
export interface Source {
  /** Where to read: `agui/{fqn}/{key}`. */
  server: Server;
  path: string;
  /** The members `threadId`, `runId` and `after` of the address. */
  query: Query;
  headers: Record<string, string>;
  /** The request that starts the run. Every later connection only reads. */
  start?: { server: Server; body: string };
  /** Whether a thread that does not exist is empty. */
  mayBeMissing?: boolean;
  /** Ends the run for the reader. */
  signal?: AbortSignal;
}

const BACKOFF = { min: 100, max: 5_000 };
const SILENCE = 60_000;
/** How long an answer may take to begin, in milliseconds. */
const BEGIN = 30_000;
/** The longest pause that a server may ask for, in milliseconds. */
const LONGEST_WAIT = 60_000;

/** The events of one run, over as many connections as it takes. `done` is called when the last one has ended. */
export function readRun(source: Source, options: RunOptions, done = () => {}): Observable<Event> {
  return new Observable((out) => {
    const stop = new AbortController();
    const abort = () => stop.abort();
    source.signal?.addEventListener('abort', abort);
    if (source.signal?.aborted) {
      abort();
    }
    const run = new Run(source, options, stop.signal, (event) => out.next(event));
    run
      .read()
      .then(() => out.complete(), (error) => out.error(error))
      .finally(() => {
        source.signal?.removeEventListener('abort', abort);
        done();
      });
    return abort;
  });
}

class Run {
  private readonly joined: Joined;
  private readonly query: Query;
  private asked = false;
  /** When the connection opened; infinite if it did not. */
  private since = Infinity;
  private renewed = false;

  constructor(
    private readonly source: Source,
    private readonly options: RunOptions,
    private readonly signal: AbortSignal,
    private readonly emit: (event: Event) => void,
  ) {
    const { after, ...query } = source.query;
    this.joined = new Joined(after);
    this.query = query;
  }

  async read(): Promise<void> {
    const backoff = { ...BACKOFF, ...this.options.backoff };
    for (let failures = 0; !this.signal.aborted; failures++) {
      let asked = 0;
      this.since = Infinity;
      try {
        await this.connection();
      } catch (error) {
        if (this.signal.aborted) {
          break;
        }
        if (this.source.mayBeMissing && !this.joined.begun && error instanceof Problem && error.kind === 'unknown-ltm') {
          return;
        }
        if (!this.passes(error)) {
          throw error;
        }
        asked = Math.min(((error as Problem).retryAfter ?? 0) * 1000, LONGEST_WAIT);
      }
      if (this.joined.ended) {
        return;
      }
      if (performance.now() - this.since > backoff.max) {
        failures = 0;
      }
      await sleep(asked + pause(backoff, failures), this.signal);
    }
    if (!this.joined.begun) {
      // An observable without an event is an error to AG-UI's client, but this one is silent.
      throw new DOMException('the run was aborted', 'AbortError');
    }
  }

  /** Whether another attempt may succeed. */
  private passes(error: unknown): boolean {
    if (!(error instanceof Problem)) {
      return false;
    }
    const renews = error.status === 401 && typeof this.options.token === 'function' && !this.renewed;
    this.renewed ||= renews;
    return error.passes || renews;
  }

  /** Reads one connection to its end. */
  private async connection(): Promise<void> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    this.signal.addEventListener('abort', abort);
    let timer = setTimeout(abort, BEGIN);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(abort, this.options.silence ?? SILENCE);
    };
    try {
      const body = await this.open(stop.signal);
      this.joined.connected();
      this.since = performance.now();
      alive();
      for await (const event of eventsIn(body)) {
        alive();
        if (event && !this.take(event.data, event.id)) {
          return;
        }
      }
    } catch (error) {
      throw error instanceof Problem || error instanceof SyntaxError ? error : noAnswer(error);
    } finally {
      clearTimeout(timer);
      this.signal.removeEventListener('abort', abort);
      stop.abort();
    }
  }

  private async open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { source, options } = this;
    const { after } = this.joined;
    const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const token = await tokenOf(options.token);
    // The run has begun as soon as an event of it is here.
    const start = this.joined.begun || this.asked ? undefined : source.start;
    const url = start
      ? start.server.url(source.path)
      : source.server.url(withQuery(source.path, { ...this.query, ...(after !== undefined && { after }) }));
    const headers = headersOf(source.headers, token, { Accept: 'text/event-stream', ...(start && { 'Content-Type': 'application/json' }) });
    const init = start ? { method: 'POST', body: start.body } : {};
    const response = await fetch(url, { ...init, headers, signal, cache: 'no-store', redirect: redirectOf(init) });
    if (!response.ok) {
      throw await problemIn(response);
    }
    // From here on the run exists.
    this.asked = true;
    this.renewed = false;
    if (!response.body) {
      throw new Problem({ status: response.status, detail: 'the answer has no body that can be read as it arrives' });
    }
    return response.body;
  }

  /** Takes an event; false if the connection has nothing more to say. */
  private take(data: string, id: string | undefined): boolean {
    const events = this.joined.next(data, id);
    for (const event of events ?? []) {
      if (this.signal.aborted) {
        return false;
      }
      this.emit(event);
    }
    return events !== undefined && !this.joined.ended;
  }
}

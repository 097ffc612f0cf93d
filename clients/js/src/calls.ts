import { pause, sleep, type Backoff } from './backoff.js';
import { Problem } from './problem.js';
import { Server, tokenOf, type Call, type Fetch, type Token } from './server.js';

/** How to call the API. */
export interface CallOptions {
  /** The JWT or API key, if the services require one. The client calls a function before each attempt. */
  token?: Token | undefined;
  /** The `fetch` to use (default: the runtime's). */
  fetch?: Fetch | undefined;
  /** Pauses between attempts, in milliseconds (default `{ min: 100, max: 5000 }`). */
  backoff?: Partial<Backoff> | undefined;
  /** The most attempts for one call (default: 10 of a Producer, 3 of a Reader). */
  tries?: number | undefined;
}

const BACKOFF = { min: 100, max: 5_000 };
/** The longest pause that a server may ask for, in milliseconds. */
const LONGEST_WAIT = 60_000;

/** Makes calls until they are answered. */
export class Caller {
  private readonly server: Server;

  constructor(
    url: string | URL,
    private readonly options: CallOptions,
    private readonly tries: number,
  ) {
    this.server = new Server(url, options.fetch);
  }

  async call<T>(path: string, call: Call, signal: AbortSignal | undefined, read: (response: Response) => T | Promise<T>): Promise<T> {
    const { token, backoff, tries = this.tries } = this.options;
    let renewed = false;
    for (let failures = 0; ; failures++) {
      try {
        return await this.server.ask(path, call, await tokenOf(token), signal, read);
      } catch (error) {
        const renews: boolean = error instanceof Problem && error.status === 401 && typeof token === 'function' && !renewed;
        if (!(error instanceof Problem && (error.passes || renews)) || failures + 1 >= tries || signal?.aborted) {
          throw error;
        }
        renewed ||= renews;
        const asked = Math.min((error.retryAfter ?? 0) * 1000, LONGEST_WAIT);
        await sleep(asked + pause({ ...BACKOFF, ...backoff }, failures), signal);
      }
    }
  }
}

import { pause, sleep, type Backoff } from './backoff.js';
import type { Json, JsonObject, Patch } from './json.js';
import { Problem } from './problem.js';
import { idOf, Server, tokenOf, type Fetch, type Token } from './server.js';
import type { LtmError, Snapshot } from './view.js';

export interface ProducerOptions {
  token?: Token | undefined;
  /** Who writes: once a higher epoch of the same name has written, this one is refused. */
  name?: string | undefined;
  epoch?: number | undefined;
  fetch?: Fetch | undefined;
  backoff?: Partial<Backoff> | undefined;
  /** How often a call is tried at most. */
  tries?: number | undefined;
}

export interface WriteOptions {
  /** The cursor that the LTM must be at. */
  ifMatch?: string | undefined;
  /** Under this key the call lands once; a random one where it is absent. */
  idempotencyKey?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface NewLtm {
  fqn: string;
  name?: string;
  params?: JsonObject;
  payload?: Json;
  playground?: boolean;
  structure?: JsonObject;
  state?: JsonObject;
  /** Where it has to be one that was not given yet. */
  id?: number;
  time?: string;
  /** What is kept of its history, where that is not as the settings say; null switches a rule off. */
  retention?: { max_entries?: number | null; max_age?: string | null; idle_ttl?: string | null };
}

/** A step: what changed, as one of `patch`, `merge` (RFC 7396), or the whole new `state`. */
export type Step = {
  reason: string;
  item?: Json;
  execute_queue?: Json[];
  transitions_queue?: Json[];
  time?: string;
} & ({ patch: Patch } | { state: JsonObject } | { merge: JsonObject });

export type RollbackTarget = { snapshot: { index: number; replay?: boolean } } | { rollback: { index: number } };

export interface ErrorReport {
  /** A UUID; the same one again changes what is given and leaves the rest. A random one where it is absent. */
  id?: string;
  reason?: string;
  item?: Json;
  retries?: Json[];
  retrying?: boolean;
  success?: boolean;
  time?: string;
}

type Id = number | bigint | string;

const BACKOFF = { min: 100, max: 5_000 };
const TRIES = 10;
/** The longest that a server may ask to wait. */
const LONGEST_WAIT = 60_000;

/** Writes LTMs. Each call lands once, however often it has to be sent; what is refused is thrown as a `Problem`. */
export class Producer {
  private readonly server: Server;

  constructor(
    url: string | URL,
    private readonly options: ProducerOptions = {},
  ) {
    this.server = new Server(url, options.fetch);
  }

  /** Creates an LTM. The id is text: it may be larger than what a number holds exactly. */
  async create(ltm: NewLtm, options?: WriteOptions): Promise<{ id: string; cursor: string }> {
    return this.write('', ltm, options, (text) => {
      const { cursor } = JSON.parse(text);
      return { id: /"id":\s*(\d+)/.exec(text)?.[1] as string, cursor };
    });
  }

  /** Appends a snapshot. */
  async append(
    id: Id,
    step: Step,
    options?: WriteOptions,
  ): Promise<{ cursor: string; index: number; snapshot: Snapshot }> {
    return this.write(`/${idOf(id)}/snapshots`, step, options, JSON.parse);
  }

  /** Goes back to a snapshot, or undoes a rollback. */
  async rollback(
    id: Id,
    target: RollbackTarget & { time?: string },
    options?: WriteOptions,
  ): Promise<{ cursor: string; snapshot_index: number | null; snapshots_count: number }> {
    return this.write(`/${idOf(id)}/rollback`, target, options, JSON.parse);
  }

  /** Records an error, or what became of it. */
  async recordError(
    id: Id,
    report: ErrorReport,
    options?: WriteOptions,
  ): Promise<{ cursor: string; error: LtmError }> {
    return this.write(`/${idOf(id)}/errors`, { id: uuid(), ...report }, options, JSON.parse);
  }

  /** Sends a call until it is answered, always under the same key. */
  private async write<T>(path: string, body: object, options: WriteOptions = {}, read: (text: string) => T): Promise<T> {
    const { ifMatch, idempotencyKey = uuid(), signal } = options;
    const { name, epoch = 0, token, backoff, tries = TRIES } = this.options;
    const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey };
    if (ifMatch !== undefined) {
      headers['If-Match'] = `"${ifMatch}"`;
    }
    if (name !== undefined) {
      headers['Ltm-Producer'] = `${name};epoch=${epoch}`;
    }
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = async (response: Response) => read(await response.text());
    let renewed = false;
    for (let failures = 0; ; failures++) {
      try {
        return await this.server.ask(`api/v0/ltm${path}`, init, await tokenOf(token), signal, answer);
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

/** A random UUID; browsers have one of their own only for pages with https. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

import { pause, sleep, type Backoff } from './backoff.js';
import type { Json, JsonObject, Patch } from './json.js';
import { Problem } from './problem.js';
import { idIn, pathOf, Server, tokenOf, type Fetch, type Ltm, type Token } from './server.js';
import type { LtmError, Snapshot } from './view.js';

/** How a producer writes. */
export interface ProducerOptions {
  /** The JWT or API key, if the services require one. The producer calls a function before each attempt. */
  token?: Token | undefined;
  /** The producer's name. Once a higher epoch of this name has written, the services reject lower ones. */
  name?: string | undefined;
  /** The producer's epoch (default 0): raise it at each start of the engine. */
  epoch?: number | undefined;
  /** The `fetch` to use (default: the runtime's). */
  fetch?: Fetch | undefined;
  /** Pauses between attempts, in milliseconds (default `{ min: 100, max: 5000 }`). */
  backoff?: Partial<Backoff> | undefined;
  /** The most attempts for one call (default 10). */
  tries?: number | undefined;
}

/** Conditions of one call. */
export interface WriteOptions {
  /** The cursor that the LTM must have. If it has another one, the call changes nothing and fails. */
  ifMatch?: string | undefined;
  /** The call lands once under this key (default: a random one). */
  idempotencyKey?: string | undefined;
  /** Cancels the call. It may still have landed. */
  signal?: AbortSignal | undefined;
}

/** Conditions of a creation. */
export interface CreateOptions extends WriteOptions {
  /** If the LTM with the `key` was deleted, gives the key to a new LTM. */
  reuse?: boolean | undefined;
}

/** An LTM to create. */
export interface NewLtm {
  /** The class: the fully qualified name of the machine. */
  fqn: string;
  /** Your own id of it, such as a UUID, unique within the class. If an LTM has this key, `create` returns that LTM. */
  key?: string;
  /** A label for people. */
  name?: string;
  params?: JsonObject;
  payload?: Json;
  playground?: boolean;
  structure?: JsonObject;
  state?: JsonObject;
  /** The id of the new LTM (default: the next free one). It must never have been used. */
  id?: number | bigint | string;
  time?: string;
  /** Rules for this LTM in place of the services' `retention` settings; null switches a rule off. */
  retention?: { max_entries?: number | null; max_bytes?: number | null; max_age?: string | null; idle_ttl?: string | null };
}

/** A step: the change as a `patch` (RFC 6902), as a `merge` patch (RFC 7396), or as the whole new `state`. */
export type Step = {
  reason: string;
  item?: Json;
  execute_queue?: Json[];
  transitions_queue?: Json[];
  time?: string;
} & ({ patch: Patch } | { state: JsonObject } | { merge: JsonObject });

/** A snapshot to go back to, or a rollback to undo. With `replay`, the snapshot itself is dropped, too. */
export type RollbackTarget = { snapshot: { index: number; replay?: boolean } } | { rollback: { index: number } };

/** An error to record, or what became of a recorded one. */
export interface ErrorReport {
  /** A UUID (default: a random one). A report with a known id changes the given members and keeps the others. */
  id?: string;
  reason?: string;
  item?: Json;
  retries?: Json[];
  retrying?: boolean;
  success?: boolean;
  time?: string;
}

const BACKOFF = { min: 100, max: 5_000 };
const TRIES = 10;
/** The longest pause that a server may ask for, in milliseconds. */
const LONGEST_WAIT = 60_000;

/** Writes LTMs. The producer repeats a call until it is answered; it lands once. A rejected call throws a `Problem`. */
export class Producer {
  private readonly server: Server;

  constructor(
    url: string | URL,
    private readonly options: ProducerOptions = {},
  ) {
    this.server = new Server(url, options.fetch);
  }

  /**
   * Creates an LTM, or gets the one that has the `key`: then `created` is false. The id is text, because a number cannot
   * hold every id exactly.
   */
  async create(ltm: NewLtm, options: CreateOptions = {}): Promise<{ id: string; cursor: string; created: boolean }> {
    const body = { ...ltm, id: ltm.id?.toString() };
    return this.write(options.reuse ? '?reuse=true' : '', body, options, (text) => ({ ...JSON.parse(text), id: idIn(text) }));
  }

  /** Appends a snapshot. */
  async append(
    ltm: Ltm,
    step: Step,
    options?: WriteOptions,
  ): Promise<{ cursor: string; index: number; snapshot: Snapshot }> {
    return this.write(`/${pathOf(ltm)}/snapshots`, step, options, JSON.parse);
  }

  /** Goes back to a snapshot, or undoes a rollback. */
  async rollback(
    ltm: Ltm,
    target: RollbackTarget & { time?: string },
    options?: WriteOptions,
  ): Promise<{ cursor: string; snapshot_index: number | null; snapshots_count: number }> {
    return this.write(`/${pathOf(ltm)}/rollback`, target, options, JSON.parse);
  }

  /** Records an error, or what became of it. */
  async recordError(
    ltm: Ltm,
    report: ErrorReport,
    options?: WriteOptions,
  ): Promise<{ cursor: string; error: LtmError }> {
    return this.write(`/${pathOf(ltm)}/errors`, { id: uuid(), ...report }, options, JSON.parse);
  }

  /** Sends a call until it is answered, each time under the same key. */
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

/** A random UUID. Browsers offer `randomUUID` only to pages served over https. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

import { Caller, type CallOptions } from './calls.js';
import type { JsonableObject, JsonInput, JsonObject, Patch } from './json.js';
import { idIn, pathOf, type Cursor, type Id, type Ltm, type LtmId } from './server.js';
import type { LtmError, Snapshot } from './view.js';

/** How a producer writes. */
export interface ProducerOptions extends CallOptions {
  /** The producer's name. Once a higher epoch of this name has written, the services reject lower ones. */
  name?: string | undefined;
  /** The producer's epoch (default 0): raise it at each start of the engine. */
  epoch?: number | undefined;
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
export interface NewLtm<State = JsonObject> {
  /** The class: the fully qualified name of the machine. */
  fqn: string;
  /** Your own id of it, such as a UUID, unique within the class. If an LTM has this key, `create` returns that LTM. */
  key?: string | undefined;
  /** A label for people. */
  name?: string | undefined;
  params?: object | undefined;
  payload?: JsonInput | undefined;
  playground?: boolean | undefined;
  structure?: object | undefined;
  state?: (State & JsonableObject<State>) | undefined;
  /** The id of the new LTM (default: the next free one). It must never have been used. */
  id?: Id | undefined;
  /** RFC 3339. */
  time?: Date | string | undefined;
  /** Rules for this LTM in place of the services' `retention` settings; null switches a rule off. */
  retention?:
    | { max_entries?: number | null; max_bytes?: number | null; max_age?: string | null; idle_ttl?: string | null }
    | undefined;
}

/** The change of a step: a `patch` (RFC 6902), a `merge` patch (RFC 7396), or the whole new `state`. */
export type StepChange<Value = JsonObject> =
  | { patch: Patch<JsonInput>; state?: undefined; merge?: undefined }
  | { state: Value & JsonableObject<Value>; patch?: undefined; merge?: undefined }
  | { merge: Value & JsonableObject<Value>; patch?: undefined; state?: undefined };

/** A step of an LTM. */
export type Step<Value = JsonObject> = StepFacts & StepChange<Value>;

interface StepFacts {
  reason: string;
  item?: JsonInput | undefined;
  execute_queue?: readonly JsonInput[] | undefined;
  transitions_queue?: readonly JsonInput[] | undefined;
  /** RFC 3339. */
  time?: Date | string | undefined;
}

/** A snapshot to go back to, or a rollback to undo. With `replay`, the snapshot itself is dropped, too. */
export type RollbackTarget = { snapshot: { index: number; replay?: boolean } } | { rollback: { index: number } };

/** An error to record, or what became of a recorded one. */
export interface ErrorReport {
  /** A UUID (default: a random one). A report with a known id changes the given members and keeps the others. */
  id?: string | undefined;
  reason?: string | undefined;
  item?: JsonInput | undefined;
  retries?: readonly JsonInput[] | undefined;
  retrying?: boolean | undefined;
  success?: boolean | undefined;
  /** RFC 3339. */
  time?: Date | string | undefined;
}

/** Writes LTMs. The producer repeats a call until it is answered; it lands once. A rejected call throws a `Problem`. */
export class Producer {
  private readonly caller: Caller;

  /** Writes to the services at `url`, for example `http://localhost:8000`. */
  constructor(
    url: string | URL,
    private readonly options: ProducerOptions = {},
  ) {
    this.caller = new Caller(url, options, 10);
  }

  /** Creates an LTM, or gets the one that has the `key`: then `created` is false. */
  async create<State extends object = JsonObject>(
    ltm: NewLtm<State>,
    { reuse, ...options }: CreateOptions = {},
  ): Promise<{ id: LtmId; cursor: Cursor; created: boolean }> {
    const body = { ...ltm, id: ltm.id?.toString() };
    return this.write('POST', reuse ? '?reuse=true' : '', body, options, (text) => ({ ...JSON.parse(text), id: idIn(text) }));
  }

  /** Appends a snapshot. */
  async append<Value extends object = JsonObject>(
    ltm: Ltm,
    step: Step<Value>,
    options?: WriteOptions,
  ): Promise<{ cursor: Cursor; index: number; snapshot: Snapshot }> {
    return this.write('POST', `/${pathOf(ltm)}/snapshots`, step, options);
  }

  /** Appends all of these snapshots in one call, or none. `cursor` and `index` are those of the last one. */
  async appendAll<Values extends readonly object[] = JsonObject[]>(
    ltm: Ltm,
    snapshots: readonly [...{ [Index in keyof Values]: Step<Values[Index]> }],
    options?: WriteOptions,
  ): Promise<{ cursor: Cursor; index: number; cursors: Cursor[] }> {
    return this.write('POST', `/${pathOf(ltm)}/snapshots`, { snapshots }, options);
  }

  /** Goes back to a snapshot, or undoes a rollback. */
  async rollback(
    ltm: Ltm,
    target: RollbackTarget & { time?: Date | string },
    options?: WriteOptions,
  ): Promise<{ cursor: Cursor; snapshot_index: number | null; snapshots_count: number }> {
    return this.write('POST', `/${pathOf(ltm)}/rollback`, target, options);
  }

  /** Records an error, or what became of it. */
  async recordError(ltm: Ltm, report: ErrorReport, options?: WriteOptions): Promise<{ cursor: Cursor; error: LtmError }> {
    return this.write('POST', `/${pathOf(ltm)}/errors`, { id: uuid(), ...report }, options);
  }

  /** Deletes an LTM for good. */
  async delete(ltm: Ltm, options?: WriteOptions): Promise<void> {
    return this.write('DELETE', `/${pathOf(ltm)}`, undefined, options, () => {});
  }

  /** Sends a call until it is answered, each time under the same key. */
  private async write<T>(
    method: string,
    path: string,
    body: object | undefined,
    { ifMatch, idempotencyKey = uuid(), signal }: WriteOptions = {},
    read: (text: string) => T = JSON.parse,
  ): Promise<T> {
    const { name, epoch = 0 } = this.options;
    const headers: Record<string, string> = {
      'Idempotency-Key': idempotencyKey,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...(ifMatch !== undefined && { 'If-Match': `"${ifMatch}"` }),
      ...(name !== undefined && { 'Ltm-Producer': `${name};epoch=${epoch}` }),
    };
    const text = body && JSON.stringify(body);
    return this.caller.call(`api/v0/ltm${path}`, { method, headers, body: text }, signal, async (response) => read(await response.text()));
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

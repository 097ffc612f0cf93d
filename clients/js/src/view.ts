import { share, type Json, type JsonObject, type Patch } from './json.js';
import { applyPatch } from './patch.js';
import type { Problem } from './problem.js';
import { pathOf, type Cursor, type Ltm, type LtmId } from './server.js';

/** One step of an LTM's history. */
export interface Snapshot {
  time: string;
  reason: string;
  item: Json;
  /** From the state before the step to the state after it. */
  patch: Patch;
  execute_queue: Json[];
  transitions_queue: Json[];
}

/** The state and the history that a rollback replaced. */
export interface Rollback<State = JsonObject> {
  time: string;
  /** `manual`, `replay`, or `recover rollback` if it undid another rollback. */
  reason: string;
  state: State;
  snapshots: readonly Snapshot[];
  first_index: number;
}

/** A recorded error and its outcome. */
export interface LtmError {
  id: string;
  reason: string;
  item: Json;
  retries: Json[];
  retrying: boolean;
  success: boolean;
  created_at: string;
  updated_at: string;
}

/**
 * The state of the connection: `connecting` until it is live for the first time, then `live` or `reconnecting`. The
 * other three are final: the LTM was deleted; the services rejected the client (`error` says why); you called `close`.
 */
export type Status = 'connecting' | 'live' | 'reconnecting' | 'deleted' | 'failed' | 'closed';

/** What a view has in every status. */
export interface ViewFacts<State = JsonObject> {
  /** The id. If you named the LTM by its key, it is empty until the first message of the gateway. */
  readonly id: LtmId;
  /** The key within the class, if the LTM has one. */
  readonly key: string | null;
  /** The history. Empty with `history: false`. */
  readonly snapshots: readonly Snapshot[];
  /** The index of the first of `snapshots`: more than 0 if earlier ones were removed. */
  readonly firstIndex: number;
  readonly snapshotsCount: number;
  /** The rollbacks since the client began to follow; with the option `rollbacks` also those before. */
  readonly rollbacks: readonly Rollback<State>[];
  /** The index of the first of `rollbacks` among all rollbacks of the LTM. */
  readonly firstRollback: number;
  readonly errors: readonly LtmError[];
  readonly name: string;
  readonly fqn: string;
  /** The LTM that this one is a copy of; null if it is not a copy. */
  readonly source_id: LtmId | null;
  readonly params: JsonObject;
  readonly structure: JsonObject;
  /** The instances of parameterised machines. */
  readonly concurrent_instances: JsonObject;
  readonly created_at: string;
  readonly updated_at: string;
  /** Why the view is not live. */
  readonly error?: Problem;
}

/**
 * An LTM as the client knows it. A view never changes: each change creates a new one that shares unchanged parts.
 *
 * `state` and `cursor` are there once the first document or state has arrived, and always if the view is live. Before
 * that, `state` is undefined and `cursor` is null. So test one of the three before you use `state`.
 */
export type View<State = JsonObject> = ViewFacts<State> &
  (
    | { readonly status: 'live' | 'reconnecting'; readonly state: State; readonly cursor: Cursor }
    | { readonly status: Exclude<Status, 'live' | 'reconnecting'>; readonly state: State; readonly cursor: Cursor }
    | { readonly status: Exclude<Status, 'live' | 'reconnecting'>; readonly state: undefined; readonly cursor: null }
  );

/** A view as the client builds it. */
export type AnyView = ViewFacts & {
  readonly status: Status;
  readonly state: JsonObject | undefined;
  readonly cursor: Cursor | null;
};

/** What changed from the previous view to this one. */
export type Change =
  /** The client fetched the document: anything may be different. */
  | { type: 'document' }
  | { type: 'snapshot'; index: number; snapshot: Snapshot }
  /** `snapshotIndex` is the last snapshot that is kept: -1 if none is, null if a rollback was undone. */
  | { type: 'rollback'; snapshotIndex: number | null; reason: string; time: string; patch: Patch }
  /** The state was replaced. `reason` is the gateway's, or `coalesced` if a slow reader missed changes. */
  | { type: 'reset'; reason: 'requested' | 'trimmed' | 'forked' | 'coalesced' }
  | { type: 'error'; error: LtmError }
  | { type: 'deleted' }
  | { type: 'status'; status: Status };

/** A message of the gateway. */
export interface Message {
  cursor: Cursor;
  snapshot?: Snapshot;
  snapshot_index?: number | null;
  rollback?: { time: string; reason: string; patch: Patch; snapshots_count: number; rollback_index?: number };
  error?: LtmError;
  reset?: { reason: 'requested' | 'trimmed' | 'forked'; state: JsonObject; snapshots_count: number };
  deleted?: true;
  live?: true;
  end?: { code: number; reason: string };
}

/** An LTM as the API shows it: `GET /api/v0/ltm/{id}`; with `?rollbacks=true` it has a page of rollbacks. It is JSON, so a server can send it to a page. */
export interface LtmDocument<State = JsonObject>
  extends Omit<ViewFacts<State>, 'id' | 'key' | 'source_id' | 'error' | 'firstIndex' | 'snapshotsCount' | 'rollbacks' | 'firstRollback'> {
  /** Beyond 2^53 a number cannot hold it exactly. */
  readonly id: number | LtmId;
  readonly key?: string | null;
  readonly source_id?: number | LtmId | null;
  readonly cursor: Cursor;
  readonly state: State;
  readonly first_index: number;
  readonly snapshots_count: number;
  /** Absent if the request did not ask for them. */
  readonly rollbacks?: readonly Rollback<State>[];
  readonly rollbacks_count?: number;
  readonly first_rollback?: number;
  readonly next_rollback?: number;
}

/** A document with the rollbacks of the one before it, whose page ended where that of this one begins. */
export function withPage(before: LtmDocument | undefined, document: LtmDocument): LtmDocument {
  const { rollbacks = [], first_rollback: first } = document;
  // Retention may have removed rollbacks between the pages.
  return before && first !== undefined && before.next_rollback === first
    ? { ...document, rollbacks: [...(before.rollbacks ?? []), ...rollbacks], first_rollback: before.first_rollback as number }
    : document;
}

export function emptyView(ltm: Ltm): AnyView {
  const { fqn, key } = typeof ltm === 'object' ? ltm : { fqn: '', key: null };
  return {
    status: 'connecting',
    id: (key === null ? pathOf(ltm) : '') as LtmId,
    key,
    cursor: null,
    state: undefined,
    snapshots: [],
    firstIndex: 0,
    snapshotsCount: 0,
    rollbacks: [],
    firstRollback: 0,
    errors: [],
    name: '',
    fqn,
    source_id: null,
    params: {},
    structure: {},
    concurrent_instances: {},
    created_at: '',
    updated_at: '',
  };
}

/** The view of a document. Parts that are equal to the old view's are the same objects. */
export function withDocument(view: AnyView, document: LtmDocument, history = true): AnyView {
  const { cursor, state, errors, name, fqn, params, structure, source_id } = document;
  const { concurrent_instances, created_at, updated_at, first_index, snapshots_count } = document;
  const [snapshots, rollbacks] = history ? [document.snapshots, document.rollbacks ?? []] : [[], []];
  const parts = { state, snapshots, rollbacks, errors, params, structure, concurrent_instances };
  return {
    ...view,
    ...share(Object.fromEntries(Object.keys(parts).map((key) => [key, view[key as keyof AnyView]])), parts),
    cursor,
    name,
    fqn,
    key: document.key ?? null,
    source_id: source_id == null ? null : (String(source_id) as LtmId),
    created_at,
    updated_at,
    firstIndex: first_index,
    firstRollback: document.first_rollback ?? document.rollbacks_count ?? 0,
    snapshotsCount: snapshots_count,
  };
}

/** How many errors a view keeps without history, besides the latest. */
const ERRORS = 255;

/**
 * Applies a message to a view. Returns null if it cannot be applied: then the document has to be fetched again.
 *
 * @throws {PatchError} if the patch does not apply to the state, which means the same.
 */
export function withMessage(view: AnyView, message: Message, history: boolean): [AnyView, Change | undefined] | null {
  const { cursor, snapshot, rollback, error, reset } = message;
  if (view.cursor === null && !reset) {
    // Nothing can be applied to a state that is not known.
    return null;
  }
  // A spread would make the lists that `append` leaves to their first reader.
  const next = Object.defineProperties({}, Object.getOwnPropertyDescriptors(view)) as Writable<AnyView>;
  next.cursor = cursor;
  if (snapshot) {
    const index = view.snapshotsCount;
    next.state = applyPatch(view.state, snapshot.patch);
    if (history) {
      append(view, next, 'snapshots', snapshot);
    }
    next.snapshotsCount = index + 1;
    next.updated_at = snapshot.time;
    return [next, { type: 'snapshot', index, snapshot }];
  }
  if (rollback) {
    const { time, reason, patch, snapshots_count } = rollback;
    next.state = applyPatch(view.state, patch);
    next.snapshotsCount = snapshots_count;
    next.updated_at = time;
    if (history && !goBack(view, next, rollback)) {
      return null;
    }
    return [next, { type: 'rollback', snapshotIndex: message.snapshot_index ?? null, reason, time, patch }];
  }
  if (error) {
    const known = view.errors.findIndex(({ id }) => id === error.id);
    const older = history ? view.errors : view.errors.slice(-ERRORS);
    next.errors = known < 0 ? [...older, error] : view.errors.map((old, at) => (at === known ? error : old));
    next.updated_at = error.updated_at;
    return [next, { type: 'error', error }];
  }
  if (reset) {
    if (history) {
      return null;
    }
    next.state = share(view.state, reset.state);
    next.snapshotsCount = reset.snapshots_count;
    return [next, { type: 'reset', reason: reset.reason }];
  }
  return [next, undefined];
}

/** Sets the history of `next` to the history after a rollback. Returns false if this view does not have it. */
function goBack(view: AnyView, next: Writable<AnyView>, rollback: NonNullable<Message['rollback']>): boolean {
  const { time, reason, snapshots_count, rollback_index } = rollback;
  let { snapshots, firstIndex } = view;
  if (rollback_index !== undefined) {
    const undone = view.rollbacks[rollback_index - view.firstRollback];
    if (!undone) {
      return false;
    }
    [snapshots, firstIndex] = [undone.snapshots, undone.first_index];
  }
  const kept = snapshots_count - firstIndex;
  if (kept < 0 || kept > snapshots.length) {
    return false;
  }
  const value = kept < snapshots.length ? snapshots.slice(0, kept) : snapshots;
  Object.defineProperty(next, 'snapshots', { value, enumerable: true, configurable: true, writable: true });
  next.firstIndex = firstIndex;
  append(view, next, 'rollbacks', {
    time,
    reason,
    state: view.state as JsonObject,
    snapshots: view.snapshots,
    first_index: view.firstIndex,
  });
  return true;
}

/** The lists of views that `append` has made: how much of an array that they share belongs to a view. */
const lists = new WeakMap<() => unknown, { items: unknown[]; length: number }>();

/**
 * Gives `next` the list of `view` with one more item. The views share one array, so the cost does not depend on the
 * length of the list. A view gets an array of its own when somebody reads it.
 */
function append<Key extends 'snapshots' | 'rollbacks'>(view: AnyView, next: AnyView, key: Key, item: AnyView[Key][number]): void {
  const getter = Object.getOwnPropertyDescriptor(view, key)?.get;
  let { items, length } = (getter && lists.get(getter)) ?? { items: [...view[key]], length: view[key].length };
  if (items.length > length) {
    // Another view has gone on from here.
    items = items.slice(0, length);
  }
  length = items.push(item);
  let own: unknown[] | undefined;
  const get = () => (own ??= items.slice(0, length));
  lists.set(get, { items, length });
  Object.defineProperty(next, key, { get, enumerable: true, configurable: true });
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

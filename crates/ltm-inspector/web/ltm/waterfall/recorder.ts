// Reads from a history what ran when: the statuses of states, the tool calls, and the steps. Places are places in the history.

import { applyPatch, pointerBelow, valueAt, type Json, type JsonObject, type Snapshot } from 'ltm-live';
import { conversationsOf } from '../../data/conversations.js';
import { statusOf } from '../../data/status.js';
import { titleOf } from '../../data/steps.js';
import { moment } from '../../data/time.js';
import { messageOf, type Call } from '../messages/message.js';
import { Nameless } from './nameless.js';

/** A state that had a status from one step to another; `to` is null if it still has it. */
export interface Span { status: string; from: number; to: number | null }

/** The statuses of one state, one after the other. */
export interface Track { pointer: string; name: string; depth: number; spans: Span[] }

/** A tool call; `to` is null if it has no result. `growing`: whether the result still grows. */
export interface CallSpan { call: Call; from: number; to: number | null; failed: boolean; growing: boolean }

/** Steps of the same item, one right after the other. */
export interface Run { title: string; reason: string; from: number; to: number }

/** As deep as the picture of the machine. */
const DEEPEST = 24;
const MOST_TRACKS = 2000;

export class Recorder {
  #snapshots: readonly Snapshot[] = [];
  #done = 0;
  #state: JsonObject = {};
  #tracks = new Map<string, Track>();
  #calls = new Map<string, CallSpan>();
  #nameless = new Nameless();
  #runs: Run[] = [];
  #times: number[] = [];
  /** Another number for each change. */
  version = 0;

  get tracks(): ReadonlyMap<string, Track> {
    return this.#tracks;
  }

  get calls(): ReadonlyMap<string, CallSpan> {
    return this.#calls;
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** The times of the snapshots, in milliseconds; never falling, as clocks of engines may differ. */
  get times(): readonly number[] {
    return this.#times;
  }

  /** How many snapshots are read. */
  get done(): number {
    return this.#done;
  }

  /** Takes the current history: it may be longer, or different from some snapshot on. */
  update(snapshots: readonly Snapshot[]): void {
    const holds = this.#done === 0 || this.#snapshots[this.#done - 1] === snapshots[this.#done - 1];
    if (!holds) {
      this.#done = 0;
      this.#state = {};
      this.#tracks = new Map();
      this.#calls = new Map();
      this.#nameless = new Nameless();
      this.#runs = [];
      this.#times = [];
      this.version += 1;
    }
    this.#snapshots = snapshots;
  }

  /** Reads on until the deadline. Returns whether all is read. */
  work(deadline: number): boolean {
    while (this.#done < this.#snapshots.length) {
      if (performance.now() > deadline) return false;
      const snapshot = this.#snapshots[this.#done] as Snapshot;
      const before = this.#state;
      this.#state = applyPatch(before, snapshot.patch);
      this.#walk(before, this.#state, '', '', 0);
      this.#readCalls(before);
      this.#readStep(snapshot);
      this.#done += 1;
      this.version += 1;
    }
    return true;
  }

  /** Equal parts of two states are the same objects, and are skipped. States of a machine are in objects, so lists are, too. */
  #walk(before: Json | undefined, after: Json | undefined, pointer: string, name: string, depth: number): void {
    if (before === after || depth > DEEPEST) return;
    const [was, is] = [statusOf(before), statusOf(after)];
    if (was !== is) this.#mark(pointer, name, depth, is);
    const [old, now] = [members(before), members(after)];
    for (const key of Object.keys(now)) if (isObject(now[key]) || isObject(old[key])) this.#walk(old[key], now[key], pointerBelow(pointer, key), key, depth + 1);
    for (const key of Object.keys(old)) if (isObject(old[key]) && !Object.hasOwn(now, key)) this.#walk(old[key], undefined, pointerBelow(pointer, key), key, depth + 1);
  }

  #mark(pointer: string, name: string, depth: number, status: string | null): void {
    let track = this.#tracks.get(pointer);
    if (!track && this.#tracks.size >= MOST_TRACKS) return;
    if (!track) this.#tracks.set(pointer, (track = { pointer, name, depth, spans: [] }));
    const last = track.spans.at(-1);
    if (last && last.to === null) last.to = this.#done;
    if (status !== null) track.spans.push({ status, from: this.#done, to: null });
  }

  #readCalls(before: JsonObject): void {
    for (const pointer of conversationsOf(this.#state)) {
      const [list, old] = [valueAt(this.#state, pointer) as Json[], valueAt(before, pointer)];
      if (list === old) continue;
      const was = new Set(Array.isArray(old) ? old : []);
      const keys = this.#nameless.read(pointer, list);
      for (const raw of list) if (!was.has(raw)) this.#readMessage(raw, keys.get(raw));
    }
  }

  /** `name`: of the message, if it has calls without an id. */
  #readMessage(raw: Json, name: string | undefined): void {
    const message = messageOf(raw);
    message.calls.forEach((call, nth) => {
      const key = call.id ?? `${name}/${nth}`;
      const known = this.#calls.get(key);
      if (known) known.call = call;
      else this.#calls.set(key, { call, from: this.#done, to: null, failed: false, growing: false });
    });
    for (const { id, failed, growing } of message.results) {
      const known = id === null ? undefined : this.#calls.get(id);
      if (!known) continue;
      // Engines write the same result again, in another list or object: it came when it was first complete.
      if (known.to === null || known.growing) known.to = this.#done;
      Object.assign(known, { failed, growing });
    }
  }

  #readStep(snapshot: Snapshot): void {
    const latest = this.#times.at(-1) ?? -Infinity;
    this.#times.push(Math.max(latest, moment(snapshot.time) || latest));
    const [title, reason] = [titleOf(snapshot), snapshot.reason];
    const last = this.#runs.at(-1);
    if (last && last.title === title && last.reason === reason) last.to = this.#done;
    else this.#runs.push({ title, reason, from: this.#done, to: this.#done });
  }
}

function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function members(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

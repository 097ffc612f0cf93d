// The rows of the waterfall: sections of states, tool calls, errors and steps.

import type { Json, JsonObject, LtmError } from 'ltm-live';
import { brief, count, member } from '../../data/json.js';
import { toneOf } from '../../data/status.js';
import { filled } from '../../data/steps.js';
import { duration, moment } from '../../data/time.js';
import type { Model } from '../model.js';
import type { CallSpan, Recorder, Run, Track } from './recorder.js';
import type { Scale } from './scale.js';

export interface Bar { from: number; to: number; tone: string; thin?: boolean }
export interface Mark { at: number; tone: string }

export interface Row {
  key: string;
  /** 1: the head of a section. */
  level: number;
  label: string;
  /** After the label, in grey. */
  note: string;
  detail: string;
  bars: Bar[];
  marks: Mark[];
  /** The step to go to. */
  place: number;
  bad: boolean;
  /** Of the head of a section: whether it is open. */
  open?: boolean;
}

/** Statuses in which nothing happens. */
const IDLE = ['init', 'finished', 'error'];

/** Rows of one kind. A row is made when it is shown. */
export interface Section { name: string; count: number; key(nth: number): string; row(nth: number): Row }

/** The sections that have rows. */
export function sectionsOf(recorder: Recorder, model: Model, scale: Scale): Section[] {
  const { errors, name } = model.view;
  const failed = failures(errors, scale);
  const tracks = inOrder(recorder.tracks);
  const calls = [...recorder.calls];
  const { runs } = recorder;
  return [
    section('States', tracks, ({ track }) => `state ${track.pointer}`, ({ track, depth }) => stateRow(track, depth, scale, failed.get(track.pointer) ?? [], name)),
    section('Tool calls', calls, ([key]) => `call ${key}`, ([, it]) => callRow(it, scale)),
    section('Errors', errors, ({ id }) => `error ${id}`, (error) => errorRow(error, scale)),
    section('Steps', runs, ({ from }) => `step ${from}`, (run) => runRow(run, model, scale)),
  ].filter(({ count }) => count > 0);
}

function section<Item>(name: string, items: readonly Item[], key: (item: Item) => string, make: (item: Item) => Omit<Row, 'key'>): Section {
  const at = (nth: number) => items[nth] as Item;
  return { name, count: items.length, key: (nth) => key(at(nth)), row: (nth) => ({ key: key(at(nth)), ...make(at(nth)) }) };
}

/** How many rows there are; `closed` are the names of the sections that are not open. */
export function rowCount(sections: readonly Section[], closed: ReadonlySet<string>): number {
  return sections.reduce((sum, { name, count }) => sum + 1 + (closed.has(name) ? 0 : count), 0);
}

/** The row at an index. */
export function rowAt(sections: readonly Section[], closed: ReadonlySet<string>, index: number): Row | undefined {
  const { section, nth } = placeOf(sections, closed, index) ?? {};
  if (!section || nth === undefined) return undefined;
  if (nth >= 0) return section.row(nth);
  const { name, count } = section;
  return { key: name, level: 1, label: name, note: count.toLocaleString('en'), detail: '', bars: [], marks: [], place: 0, bad: false, open: !closed.has(name) };
}

/** The key of the row at an index: cheaper than the row. */
export function keyAt(sections: readonly Section[], closed: ReadonlySet<string>, index: number): string | undefined {
  const { section, nth } = placeOf(sections, closed, index) ?? {};
  return nth === undefined || nth < 0 ? section?.name : section?.key(nth);
}

/** The section of a row, and which of its rows it is; -1: its head. */
function placeOf(sections: readonly Section[], closed: ReadonlySet<string>, index: number): { section: Section; nth: number } | undefined {
  let nth = index - 1;
  for (const section of sections) {
    const count = closed.has(section.name) ? 0 : section.count;
    if (nth < count) return { section, nth };
    nth -= count + 1;
  }
  return undefined;
}

/** The states, each after the machine that it belongs to, in the order in which they began; those that never did come last. */
function inOrder(tracks: ReadonlyMap<string, Track>): { track: Track; depth: number }[] {
  const below = new Map<string | undefined, Track[]>();
  for (const track of tracks.values()) {
    const parent = parentOf(track.pointer, tracks);
    const siblings = below.get(parent);
    if (siblings) siblings.push(track);
    else below.set(parent, [track]);
  }
  const found: { track: Track; depth: number }[] = [];
  const add = (parent: string | undefined, depth: number) => {
    for (const track of (below.get(parent) ?? []).toSorted((a, b) => begun(a) - begun(b))) {
      found.push({ track, depth });
      add(track.pointer, depth + 1);
    }
  };
  add(undefined, 0);
  return found;
}

function begun({ spans }: Track): number {
  return spans.find(({ status }) => status !== 'init')?.from ?? Number.MAX_SAFE_INTEGER;
}

function parentOf(pointer: string, tracks: ReadonlyMap<string, Track>): string | undefined {
  for (let it = pointer; it !== '';) {
    it = it.slice(0, it.lastIndexOf('/'));
    if (tracks.has(it)) return it;
  }
  return undefined;
}

function stateRow(track: Track, depth: number, scale: Scale, failed: Mark[], name: string): Omit<Row, 'key'> {
  const spans = track.spans.map((span) => ({ ...span, end: span.to ?? scale.last }));
  const busy = spans.filter(({ status }) => !IDLE.includes(status) && status !== 'queued');
  const sum = (of: typeof spans) => of.reduce((total, { from, end }) => total + scale.timeAt(end) - scale.timeAt(from), 0);
  const waits = sum(spans.filter(({ status }) => status === 'queued'));
  const last = track.spans.at(-1);
  const ends = spans.filter(({ status }) => status === 'finished' || status === 'error');
  return {
    level: 2 + depth, label: track.pointer === '' ? name || 'LTM' : track.name, note: last && last.to === null ? last.status : 'gone',
    detail: [busy.length > 0 ? duration(sum(busy)) : '', waits > 0 ? `queued ${duration(waits)}` : ''].filter(Boolean).join(', '),
    bars: spans.filter(({ status }) => status !== 'init' && status !== 'finished').map(({ status, from, end }) => ({ from, to: end, tone: toneOf(status), thin: status === 'queued' || status === 'error' })),
    marks: [...ends.map(({ status, from }) => ({ at: from, tone: status })), ...failed],
    place: (busy[0] ?? spans[0])?.from ?? 0, bad: last?.status === 'error' || failed.some(({ tone }) => tone === 'error'),
  };
}

function callRow({ call, from, to, failed }: CallSpan, scale: Scale): Omit<Row, 'key'> {
  return {
    level: 2, label: call.name, note: argumentsOf(call.arguments), detail: to === null ? 'no result' : scale.took(from, to),
    bars: [{ from, to: to ?? scale.last, tone: failed ? 'error' : to === null ? 'active' : 'finished' }], marks: failed && to !== null ? [{ at: to, tone: 'error' }] : [],
    place: from, bad: failed,
  };
}

function argumentsOf(value: Json): string {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return brief(value, 40);
  return Object.entries(value).slice(0, 3).map(([name, it]) => `${name}=${brief(it, 30)}`).join(', ');
}

/** The times of an error's failed attempts. */
function attempts(error: LtmError): number[] {
  const times = (Array.isArray(error.retries) ? error.retries : []).map((it) => moment(member(it, 'time')));
  const known = times.filter((it) => !Number.isNaN(it));
  return known.length > 0 ? known : [moment(error.created_at)].filter((it) => !Number.isNaN(it));
}

function errorRow(error: LtmError, scale: Scale): Omit<Row, 'key'> {
  const marks = marksOf(error, scale);
  const [word, tone] = error.success ? ['recovered', 'finished'] : error.retrying ? ['retrying', 'queued'] : ['failed', 'error'];
  const from = marks[0]?.at ?? scale.last;
  return {
    level: 2, label: nameOf(error), note: word, detail: count(marks.length, 'attempt'),
    bars: [{ from, to: marks.at(-1)?.at ?? from, tone, thin: true }], marks, place: from, bad: !error.success,
  };
}

function nameOf({ item, reason }: LtmError): string {
  if (typeof item === 'string') return item;
  const [label, fqn] = [member(item, 'label'), member(item, 'fqn')];
  return typeof label === 'string' ? filled(label, member(item, 'params')) : typeof fqn === 'string' ? String(fqn.split('.').at(-1)) : reason;
}

/** The failed attempts of each state, by its pointer: the names of an item's `fqn` after the first one. */
function failures(errors: readonly LtmError[], scale: Scale): Map<string, Mark[]> {
  const failed = new Map<string, Mark[]>();
  for (const error of errors) {
    const fqn = member(error.item as JsonObject, 'fqn');
    if (typeof fqn !== 'string') continue;
    const pointer = fqn.split('.').slice(1).map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
    failed.set(pointer, [...(failed.get(pointer) ?? []), ...marksOf(error, scale)]);
  }
  return failed;
}

function marksOf(error: LtmError, scale: Scale): Mark[] {
  const tone = error.success || error.retrying ? 'queued' : 'error';
  return attempts(error).map((time) => ({ at: scale.before(time), tone }));
}

/** A step lasts from the snapshot before it; before that, it may have been queued. */
function runRow({ title, reason, from, to }: Run, { view, queues }: Model, scale: Scale): Omit<Row, 'key'> {
  const times = to - from + 1;
  const begin = Math.max(0, from - 1);
  const queued = times === 1 ? queues.queuedBy(view.snapshots[from]?.item) : undefined;
  const waits: Bar[] = queued !== undefined && queued < begin ? [{ from: queued, to: begin, tone: 'queued', thin: true }] : [];
  const kind = ['start', 'execute', 'transition'].includes(reason) ? reason : 'other';
  return {
    level: 2, label: times > 1 ? `${title} × ${times.toLocaleString('en')}` : title, note: reason,
    detail: [scale.took(begin, to), waits.length > 0 ? `queued ${scale.took(queued as number, begin)}` : ''].filter(Boolean).join(', '),
    bars: [...waits, { from: begin, to, tone: `step-${kind}` }], marks: [], place: from, bad: false,
  };
}

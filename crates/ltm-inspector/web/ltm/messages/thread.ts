// A conversation to show: its messages, with each tool call beside its result.

import type { Json } from 'ltm-live';
import { messageOf, type Message, type Result } from './message.js';

export interface Entry {
  /** The place in the list. */
  index: number;
  message: Message;
  /** For each call of the message, its result. */
  answers: (Result | undefined)[];
  /** The results that no call of the conversation has. */
  loose: Result[];
  /** What the chosen step did to the message. */
  mark: 'added' | 'changed' | null;
}

/** The entries of a list of messages; `before` is the list before the chosen step. A message with nothing but results of calls is with the calls. */
export function threadOf(list: readonly Json[], before: readonly Json[] | undefined): Entry[] {
  const messages = list.map(messageOf);
  const called = new Set(messages.flatMap((it) => it.calls.map((call) => call.id)));
  const results = new Map(messages.flatMap((it) => it.results.map((result): [string | null, Result] => [result.id, result])));
  const marks = list.map((raw, index) => markOf(raw, before?.[index]));
  const answering = new Map<string | null, Entry['mark']>();
  messages.forEach((it, index) => it.results.forEach((result) => marks[index] && answering.set(result.id, 'changed')));
  return messages.flatMap((message, index) => {
    const answers = message.calls.map((call) => (call.id === null ? undefined : results.get(call.id)));
    const loose = message.results.filter((result) => result.id === null || !called.has(result.id));
    if (loose.length === 0 && message.results.length > 0 && message.parts.length === 0 && message.calls.length === 0) return [];
    const mark = marks[index] ?? message.calls.map((call) => answering.get(call.id) ?? null).find(Boolean) ?? null;
    return [{ index, message, answers, loose, mark }];
  });
}

function markOf(raw: Json, was: Json | undefined): Entry['mark'] {
  if (was === undefined) return 'added';
  return raw === was ? null : 'changed';
}

// Knows messages with calls without an id again, when their list was written anew or its first messages were dropped.

import type { Json } from 'ltm-live';
import { same } from '../../data/same.js';
import { messageOf } from '../messages/message.js';

interface Known { raw: Json; at: number; name: string }

export class Nameless {
  /** Those of each conversation, as it was last. */
  #known = new Map<string, Known[]>();
  #count = 0;

  /** The names of these messages of a conversation. */
  read(pointer: string, list: readonly Json[]): ReadonlyMap<Json, string> {
    const before = new Set(this.#known.get(pointer));
    const found = list.map((raw, at) => ({ raw, at, name: '' })).filter(({ raw }) => messageOf(raw).calls.some(({ id }) => id === null));
    const take = (it: Known, is: (old: Known) => boolean) => {
      for (const old of it.name === '' ? before : []) {
        if (!is(old)) continue;
        it.name = old.name;
        before.delete(old);
        return;
      }
    };
    for (const it of found) take(it, ({ raw }) => raw === it.raw);
    for (const it of found) take(it, ({ raw }) => same(raw, it.raw));
    // A message that grew is another one in the same place.
    for (const it of found) take(it, ({ at }) => at === it.at);
    for (const it of found) it.name ||= `${pointer} ${(this.#count += 1)}`;
    this.#known.set(pointer, found);
    return new Map(found.map(({ raw, name }) => [raw, name]));
  }
}

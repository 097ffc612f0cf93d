// The document of an LTM as a file, with all of its rollbacks.

import type { Json, JsonObject } from 'ltm-live';
import { mark, plain, stringify } from '../../wire/digits.js';

/** The text of the document. `load` gets a page of it: the API gives the rollbacks in pages. */
export async function wholeDocument(load: (query: string) => Promise<string>): Promise<string> {
  const text = await load('rollbacks=true');
  let page = JSON.parse(mark(text)) as JsonObject;
  if (page.next_rollback === undefined) return text;
  let rollbacks: Json[] = [];
  let first = page.first_rollback as Json;
  for (;;) {
    rollbacks = [...rollbacks, ...page.rollbacks as Json[]];
    const { next_rollback: next, ...rest } = page;
    if (next === undefined) return stringify({ ...rest, rollbacks, first_rollback: first }) as string;
    page = JSON.parse(mark(await load(`rollbacks=true&from_rollback=${plain(next)}`))) as JsonObject;
    // Retention may have removed rollbacks between the pages.
    if (page.first_rollback !== next) [rollbacks, first] = [[], page.first_rollback as Json];
  }
}

import type { Id, LtmId, Query } from './server.js';

/** One LTM of a list. */
export interface Row {
  readonly id: LtmId;
  readonly name: string;
  readonly fqn: string;
  /** The engine's key, if the LTM has one. */
  readonly key?: string;
  /** The status: `_status` of the state. */
  readonly status: string | null;
  readonly snapshots_count: number;
  readonly created_at: string;
  readonly updated_at: string;
}

/** Which LTMs a list has. All given members have to hold. */
export interface ListFilter {
  /** `true`: those of the playground; `false` (default): the others. */
  playground?: boolean | undefined;
  /** One of these statuses. */
  status?: string | readonly string[] | undefined;
  /** A class, or all classes under a prefix: `app.*`. */
  fqn?: string | undefined;
  /** Beginnings of words of the name. */
  name?: string | undefined;
  /** Created at this time or later: a Date, or RFC 3339. */
  created_after?: Date | string | undefined;
  /** Created before this time. */
  created_before?: Date | string | undefined;
  /** Last written at this time or later. */
  updated_after?: Date | string | undefined;
  /** Last written before this time. */
  updated_before?: Date | string | undefined;
  /** With a recorded error, or without any. */
  has_errors?: boolean | undefined;
  /** The most rows of a page (default and maximum 1000). */
  limit?: number | undefined;
  /** Only lower ids: the page after another one begins at its `next`. */
  before?: Id | undefined;
}

const NAMES = [
  'playground',
  'status',
  'fqn',
  'name',
  'created_after',
  'created_before',
  'updated_after',
  'updated_before',
  'has_errors',
  'limit',
  'before',
] as const;

/** The filter as parameters of an address. */
export function queryOf(filter: ListFilter): Query {
  const query: Query = {};
  for (const name of NAMES) {
    const value = filter[name];
    if (value !== undefined) {
      query[name] = value instanceof Date ? value.toISOString() : String(value);
    }
  }
  return query;
}

/** Parses a text of the services about rows. Ids become text first, because a number cannot hold every id exactly. */
export function parseRows<T>(text: string): T {
  // Within a JSON text, a quote has a backslash before it: this finds members only. Rows hold no values of engines.
  const ids = (list: string) => list.replace(/\d+/g, '"$&"');
  return JSON.parse(text.replace(/"(?:id|next)":\s*\d+|"removed":\s*\[[\d,\s]*\]/g, (member) => {
    const value = member.indexOf(':') + 1;
    return member.slice(0, value) + ids(member.slice(value));
  })) as T;
}

// Which LTMs the list shows: in the URL, as parameters of the API, and in words.

import type { ListFilter } from 'ltm-live';

/** The rows of a page. */
export const PAGE = 50;

export interface Filter {
  /** Words of the name, or an id. */
  q: string;
  fqn: string;
  status: readonly string[];
  /** Which of its times: the last change, or the creation. */
  by: 'updated' | 'created';
  /** A key of `SINCE`; `custom` for `from` and `to`; empty for any time. */
  since: string;
  /** Local times, as the browser's fields have them: `2026-01-31T12:00`. */
  from: string;
  to: string;
  errors: boolean;
  playground: boolean;
  /** The list begins below this id. */
  before: string;
}

const HOUR = 3_600_000;

/** The time ranges to choose from, in milliseconds up to now. */
export const SINCE: Readonly<Record<string, readonly [string, number]>> = {
  '1h': ['Last hour', HOUR],
  '24h': ['Last 24 hours', 24 * HOUR],
  '7d': ['Last 7 days', 7 * 24 * HOUR],
  '30d': ['Last 30 days', 30 * 24 * HOUR],
};

export const EVERYTHING: Filter = { q: '', fqn: '', status: [], by: 'updated', since: '', from: '', to: '', errors: false, playground: false, before: '' };

/** How exact the beginning of a time range up to now is, as a part of the range; and the limits of that, in milliseconds. */
const EXACT = 1 / 60;
const [SOONEST, LATEST] = [60_000, 900_000];

/** The pause, in milliseconds, after which the filter means other times; undefined if it always means the same. */
export function renewal({ since }: Filter): number | undefined {
  const range = Object.hasOwn(SINCE, since) ? SINCE[since] : undefined;
  return range && Math.min(LATEST, Math.max(SOONEST, range[1] * EXACT));
}

/** The filter that a URL names. */
export function fromUrl(parameters: URLSearchParams): Filter {
  const text = (name: string) => parameters.get(name) ?? '';
  const [from, to] = [text('from'), text('to')];
  const since = text('since');
  return {
    q: text('q'),
    fqn: text('fqn'),
    status: [...new Set(text('status').split(',').filter(Boolean))],
    by: text('by') === 'created' ? 'created' : 'updated',
    since: from || to ? 'custom' : Object.hasOwn(SINCE, since) ? since : '',
    from,
    to,
    errors: text('errors') === '1',
    playground: text('playground') === '1',
    before: text('before'),
  };
}

/** The filter as parameters of a URL. */
export function toUrl({ status, by, since, from, to, ...rest }: Filter): Record<string, string | boolean | null | undefined> {
  const custom = since === 'custom';
  const time = custom ? { from, to } : { since };
  return { ...rest, status: status.join(','), by: by === 'created' ? by : null, ...time };
}

/** The filter as the API and the gateway take it. */
export function toQuery(filter: Filter, now = Date.now()): ListFilter {
  const { q, fqn, status, by, since, from, to, errors, playground, before } = filter;
  const at = (text: string) => (text && !Number.isNaN(Date.parse(text)) ? new Date(text) : undefined);
  const [after, until] = since === 'custom' ? [at(from), at(to)] : [SINCE[since] && new Date(now - SINCE[since][1]), undefined];
  return {
    playground,
    limit: PAGE,
    name: wordsOf(q) || undefined,
    fqn: fqn || undefined,
    status: status.length ? status : undefined,
    [`${by}_after`]: after,
    [`${by}_before`]: until,
    has_errors: errors || undefined,
    before: before || undefined,
  };
}

/** The id that a text names: `42` or `#42`. */
export function idOf(q: string): string | undefined {
  return /^#?(\d{1,20})$/.exec(q.trim())?.[1];
}

/** What the API looks for in names: it takes at most 8 words, of at most 32 characters. */
function wordsOf(q: string): string {
  return q.trim().split(/\s+/).slice(0, 8).map((word) => [...word].slice(0, 32).join('')).join(' ');
}

/** Whether the filter leaves anything out, apart from the other kind of LTM. */
export function narrows(filter: Filter): boolean {
  return Boolean(filter.q.trim() || filter.fqn || filter.status.length || filter.since || filter.errors);
}

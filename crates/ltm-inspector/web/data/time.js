// Times for people.

const UNITS = [
  ['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'narrow' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Milliseconds since the Unix epoch, or NaN. A time without an offset is UTC, as everywhere in ltm-live. */
export function moment(text) {
  if (typeof text !== 'string') return NaN;
  const withT = text.trim().replace(' ', 'T');
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(withT) ? withT : `${withT}Z`);
}

/** `5 min ago`. */
export function ago(text, now = Date.now()) {
  const at = moment(text);
  if (Number.isNaN(at)) return '–';
  const seconds = Math.round((at - now) / 1000);
  if (Math.abs(seconds) < 2) return 'just now';
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
  return relative.format(Math.trunc(seconds / size), unit);
}

/** `18:43:21.047`. */
export function clockTime(text) {
  const at = moment(text);
  return Number.isNaN(at) ? String(text ?? '–') : clock.format(at);
}

/** Day and time in the reader's locale. */
export function fullTime(text) {
  const at = moment(text);
  return Number.isNaN(at) ? String(text ?? '–') : full.format(at);
}

/** The day in the reader's locale. */
export function dayOf(text) {
  const at = moment(text);
  return Number.isNaN(at) ? '' : day.format(at);
}

/** The time between two moments: `+12 ms`, `+1.4 s`, `+3 min`. */
export function gap(before, after) {
  const ms = moment(after) - moment(before);
  if (Number.isNaN(ms)) return '';
  return `${ms < 0 ? '−' : '+'}${duration(Math.abs(ms))}`;
}

/** A time span: `12 ms`, `1.4 s`, `3 min`. */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

// Keeps the digits of numbers. A number that a double cannot hold exactly, such as an id beyond 2^53, is read as a marked text, shown as
// a number, and written as a number. The mark is random for each page, so no text of a state can look like one.

// Not `randomUUID`: browsers offer it only to pages served over TLS.
const MARK = `\u0000${crypto.getRandomValues(new Uint32Array(4)).join('-')}:`;
/** Matches JSON texts that may contain such a number; all others need no work. */
const SUSPECT = /[:,[]\s*-?(?:\d{16}|\d{1,16}\.\d{15}|[\d.]+[eE][+-]?\d{3})/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"\\\\u0000${MARK.slice(1)}([^"]+)"`, 'g');

/** A JSON text with such numbers marked. */
export function mark(text) {
  if (!SUSPECT.test(text)) return text;
  return text.replace(TOKEN, (token) => (token[0] === '"' || isExact(token) ? token : JSON.stringify(MARK + token)));
}

/** Whether a double holds the number exactly. */
function isExact(token) {
  const digits = token.replace(/^-|[eE].*$/g, '').replace('.', '').replace(/^0+|0+$/g, '');
  if (digits.length <= 15 && !/[eE]/.test(token)) return true;
  const value = Number(token);
  return Number.isFinite(value) && same(token, String(value));
}

/** Whether two texts are the same number. */
function same(a, b) {
  const [x, y] = [parts(a), parts(b)];
  return x.digits === y.digits && (x.digits === '' || (x.negative === y.negative && x.exponent === y.exponent));
}

/** The significant digits, and the power of ten of the last one. */
function parts(text) {
  const [, sign, whole, fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return { digits: text };
  const all = (whole + fraction).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return { negative: sign === '-', digits, exponent: Number(power) - fraction.length + (all.length - digits.length) };
}

/** The digits of a marked number; undefined for anything else. */
export function digitsOf(value) {
  return typeof value === 'string' && value.startsWith(MARK) ? value.slice(MARK.length) : undefined;
}

/** A plain value as text. */
export function plain(value) {
  return digitsOf(value) ?? String(value);
}

/** The JSON text of a value, with marked numbers as numbers again. */
export function stringify(value, indent) {
  return JSON.stringify(value, null, indent)?.replace(MARKED, '$1');
}

// Numbers keep their digits: what a double cannot hold exactly (an id beyond 2^53, say) comes in as a marked text, is shown as the number
// that it is, and goes out as one. Texts of a state cannot be taken for it: the mark is another one for each page.

// Not `randomUUID`, which pages without TLS lack.
const MARK = `\u0000${crypto.getRandomValues(new Uint32Array(4)).join('-')}:`;
/** Only a text in which such a number may be is looked at closely. */
const SUSPECT = /[:,[]\s*-?(?:\d{16}|\d{1,16}\.\d{15}|[\d.]+[eE][+-]?\d{3})/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"\\\\u0000${MARK.slice(1)}([^"]+)"`, 'g');

/** A JSON text with such numbers marked. */
export function mark(text) {
  if (!SUSPECT.test(text)) return text;
  return text.replace(TOKEN, (token) => (token[0] === '"' || isExact(token) ? token : JSON.stringify(MARK + token)));
}

/** Whether a number is the same after it was a double. */
function isExact(token) {
  const digits = token.replace(/^-|[eE].*$/g, '').replace('.', '').replace(/^0+|0+$/g, '');
  if (digits.length <= 15 && !/[eE]/.test(token)) return true;
  const value = Number(token);
  return Number.isFinite(value) && same(token, String(value));
}

/** Whether two spellings are of the same number. */
function same(a, b) {
  const [x, y] = [parts(a), parts(b)];
  return x.digits === y.digits && (x.digits === '' || (x.negative === y.negative && x.exponent === y.exponent));
}

/** Significant digits, and the power of ten of the last. */
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

/** JSON text of a value, with such numbers as numbers again. */
export function stringify(value, indent) {
  return JSON.stringify(value, null, indent)?.replace(MARKED, '$1');
}

// JSON Pointers (RFC 6901).

/** The keys that a pointer names. */
export function keysOf(pointer) {
  if (pointer === '') return [];
  return pointer.slice(1).split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer with one more key. */
export function below(pointer, key) {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** The pointer without its last key. */
export function above(pointer) {
  return pointer.slice(0, pointer.lastIndexOf('/'));
}

/** An own member of an object or array; undefined if there is none. */
export function member(value, key) {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The value at a pointer; undefined if there is none. */
export function at(value, pointer) {
  return keysOf(pointer).reduce(member, value);
}

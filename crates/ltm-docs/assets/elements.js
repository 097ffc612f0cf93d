// The elements of all parts of the page. Texts stay plain text: no part of a document becomes markup.

export function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children.flat(Infinity));
  return element;
}

/** An element with attributes. */
export function tag(name, attributes, ...children) {
  const element = make(name, ...children);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** A text. Parts between backticks become code. */
export function prose(name, text) {
  return make(name, (text ?? '').split('`').map((part, at) => (at % 2 ? make('code', part) : part)));
}

/** A text of several paragraphs. */
export const paragraphs = (text) => (text ?? '').split('\n\n').filter(Boolean).map((it) => prose('p', it));

export const json = (value) => make('pre', JSON.stringify(value, null, 2));

/** An example with its name. */
export const example = (name, value) => [make('h4', name), typeof value === 'string' ? make('pre', value) : json(value)];

export function folded(head, ...children) {
  return make('details', make('summary', head), children);
}

/** A table; none without rows. */
export function table(heads, rows) {
  if (rows.length === 0) return [];
  const row = (cell, cells) => make('tr', cells.map((it) => make(cell, it)));
  return [make('table', make('thead', row('th', heads)), make('tbody', rows.map((cells) => row('td', cells))))];
}

/** What the search finds, and the contents name: an article with a place of its own. */
export function article(id, title, head, ...children) {
  return tag('article', { id, 'data-title': title }, make('h3', tag('a', { href: `#${id}` }, head)), children);
}

/** The target of a reference inside a document. */
export function resolved(api, value) {
  if (!value?.$ref) return value ?? {};
  return resolved(api, value.$ref.split('/').slice(1).reduce((at, key) => at[key], api));
}

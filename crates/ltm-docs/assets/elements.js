// The elements of both parts of the page. Texts stay plain text: no part of a document becomes markup.

export function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

/** A text. Parts between backticks become code. */
export function prose(name, text = '') {
  return make(name, ...text.split('`').map((part, at) => (at % 2 ? make('code', part) : part)));
}

export const json = (value) => make('pre', JSON.stringify(value, null, 2));

export function folded(head, ...children) {
  return make('details', make('summary', ...head), ...children);
}

export function table(heads, rows) {
  const row = (cell, cells) => make('tr', ...cells.map((it) => make(cell, it)));
  return make('table', make('thead', row('th', heads)), make('tbody', ...rows.map((cells) => row('td', cells))));
}

/** The target of a reference inside a document. */
export function resolved(api, value) {
  if (!value.$ref) return value;
  return resolved(api, value.$ref.split('/').slice(1).reduce((at, key) => at[key], api));
}

export function schemas(api) {
  const one = ([name, schema]) => folded([make('code', name)], json(schema));
  return [make('h3', 'Schemas'), ...Object.entries(api.components.schemas).map(one)];
}

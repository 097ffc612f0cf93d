// Shows an AsyncAPI description: its channels with their parameters and messages, and the schemas.

function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

/** A text with what stands between backticks as code. */
function prose(name, text = '') {
  return make(name, ...text.split('`').map((part, at) => (at % 2 ? make('code', part) : part)));
}

const json = (value) => make('pre', JSON.stringify(value, null, 2));

function folded(head, ...children) {
  return make('details', make('summary', ...head), ...children);
}

/** What a reference inside the description leads to. */
function resolved(api, value) {
  if (!value.$ref) return value;
  return resolved(api, value.$ref.split('/').slice(1).reduce((at, key) => at[key], api));
}

function parameters(channel) {
  const query = Object.entries(channel.bindings?.ws?.query?.properties ?? {});
  if (query.length === 0) return '';
  const row = ([name, { description, ...schema }]) => make('tr', make('td', make('code', name)), prose('td', description), make('td', make('code', JSON.stringify(schema))));
  return make('table', make('thead', make('tr', make('th', 'parameter'), make('th', 'does'), make('th', 'is'))), make('tbody', ...query.map(row)));
}

function closes(codes) {
  const row = ({ code, meaning, advice }) => make('tr', make('td', make('code', String(code))), prose('td', meaning), prose('td', advice));
  return make('table', make('thead', make('tr', make('th', 'close code'), make('th', 'means'), make('th', 'what a client does'))), make('tbody', ...codes.map(row)));
}

function channel(api, name) {
  const it = api.channels[name];
  const message = ([key, reference]) => {
    const { title, payload } = resolved(api, reference);
    return folded([make('code', key), ' ', title], json(payload));
  };
  return [
    make('h3', make('code', it.address), ' ', it.title),
    prose('p', it.description),
    parameters(it),
    make('h4', 'Messages'),
    ...Object.entries(it.messages).map(message),
  ];
}

/** Shows `api` in `place`. */
export function show(api, place) {
  place.replaceChildren(
    make('h2', api.info.title),
    prose('p', api.info.description),
    ...Object.keys(api.channels).flatMap((name) => channel(api, name)),
    make('h3', 'Close codes'),
    closes(Object.values(api.channels)[0]['x-close-codes']),
    make('h3', 'Schemas'),
    ...Object.entries(api.components.schemas).map(([name, schema]) => folded([make('code', name)], json(schema))),
  );
}

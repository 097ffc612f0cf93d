// Shows an AsyncAPI document: its channels with parameters and messages, and the schemas.
import { folded, json, make, prose, resolved, schemas, table } from './elements.js';

function parameters(channel) {
  const query = Object.entries(channel.bindings?.ws?.query?.properties ?? {});
  if (query.length === 0) return '';
  return table(['parameter', 'description', 'schema'], query.map(([name, { description, ...schema }]) => [make('code', name), prose('span', description), make('code', JSON.stringify(schema))]));
}

function closes(codes) {
  return table(['close code', 'meaning', 'what the client does'], codes.map(({ code, meaning, advice }) => [make('code', String(code)), prose('span', meaning), prose('span', advice)]));
}

function channel(api, name) {
  const it = api.channels[name];
  const message = ([key, reference]) => {
    const { title, payload } = resolved(api, reference);
    return folded([make('code', key), ' ', title], json(payload));
  };
  return [make('h3', make('code', it.address), ' ', it.title), prose('p', it.description), it['x-by-key'] ? make('p', 'By class and key: ', make('code', it['x-by-key'])) : '', parameters(it), make('h4', 'Messages'), ...Object.entries(it.messages).map(message)];
}

/** Shows the AsyncAPI document `api` in the element `place`. */
export function show(api, place) {
  place.replaceChildren(
    make('h2', api.info.title),
    prose('p', api.info.description),
    ...Object.keys(api.channels).flatMap((name) => channel(api, name)),
    make('h3', 'Close codes'),
    closes(Object.values(api.channels)[0]['x-close-codes']),
    ...schemas(api),
  );
}

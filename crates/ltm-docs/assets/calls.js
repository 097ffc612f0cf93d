// Shows an OpenAPI document: its calls with parameters, bodies and responses, and the schemas.
import { folded, json, make, prose, resolved, schemas, table } from './elements.js';

/** The call as a shell command. */
function curl(api, method, path, call) {
  const words = ['curl', '-X', method.toUpperCase(), `'${new URL(path.slice(1), document.baseURI).href.replace('%7Bid%7D', '1')}'`];
  const body = call.requestBody?.content['application/json'];
  const example = body && resolved(api, body.schema).example;
  if (example) words.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(example)}'`);
  return make('pre', words.join(' '));
}

function parameters({ parameters: all = [] }) {
  if (all.length === 0) return '';
  const row = ({ name, in: place, description, schema, required }) => [make('code', name), place + (required ? ', required' : ''), prose('span', description), make('code', JSON.stringify(schema))];
  return table(['parameter', 'in', 'description', 'schema'], all.map(row));
}

/** The schema of a body, with its name if it has one. */
function content(api, of) {
  const [type, { schema }] = Object.entries(of ?? {})[0] ?? ['', {}];
  if (!schema) return '';
  const name = schema.$ref?.split('/').pop() ?? 'schema';
  return folded([make('code', name), ` (${type})`], json(resolved(api, schema)));
}

function answer(api, [status, { description, content: of, headers = {} }]) {
  const told = Object.entries(headers).map(([name, it]) => make('li', make('code', name), ' ', prose('span', it.description)));
  return [make('code', status), make('div', ...description.split('\n\n').map((line) => prose('p', line)), make('ul', ...told), content(api, of))];
}

/** The other path of a call that concerns an LTM. */
function byKey(api, path, method) {
  const other = Object.keys(api.paths).find((other) => api.paths[other][method]?.['x-same-as'] === path);
  return other ? make('p', 'By class and key: ', make('code', other)) : '';
}

function call(api, path, [method, it]) {
  const body = it.requestBody ? [make('h4', 'Body'), content(api, it.requestBody.content)] : [];
  const answers = Object.entries(it.responses).map((one) => answer(api, one));
  const shown = folded(
    [make('code', method.toUpperCase()), ' ', make('code', path), ' ', it.summary],
    curl(api, method, path, it), byKey(api, path, method), parameters(it), ...body, make('h4', 'Responses'), table(['status', 'description'], answers),
  );
  shown.className = 'call';
  return shown;
}

/** Shows the OpenAPI document `api` in the element `place`. */
export function show(api, place) {
  const all = Object.entries(api.paths).flatMap(([path, calls]) => Object.entries(calls).map((one) => ({ tag: one[1].tags[0], path, one }))).filter(({ one }) => !one[1]['x-same-as']);
  const group = ({ name, description }) => [
    make('h3', name), prose('p', description), ...all.filter(({ tag }) => tag === name).map(({ path, one }) => call(api, path, one)),
  ];
  place.replaceChildren(make('h2', `${api.info.title}: HTTP`), prose('p', api.info.description), ...api.tags.flatMap(group), ...schemas(api));
}

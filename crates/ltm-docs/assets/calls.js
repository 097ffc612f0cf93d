// Shows an OpenAPI document: its calls with parameters, bodies, answers and examples, and the schemas.
import { attempt } from './attempt.js';
import { article, example, folded, make, paragraphs, prose, table, tag } from './elements.js';
import { content, schemas, type } from './schemas.js';

const JSON_TYPE = 'application/json';
const isGood = ([status]) => Number(status) < 400;

function parameters(api, { parameters: all = [] }) {
  const row = ({ name, in: place, description, schema, required, example: shown }) => [
    [make('code', name), required ? make('small', ' required') : ''], place, type(api, schema),
    [prose('span', description), shown === undefined ? '' : make('div', make('small', 'Example: ', make('code', String(shown))))],
  ];
  return all.length ? [make('h4', 'Parameters'), table(['name', 'in', 'type', 'description'], all.map(row))] : [];
}

function body(api, { requestBody }) {
  if (!requestBody) return [];
  const others = Object.keys(requestBody.content).filter((it) => it !== JSON_TYPE);
  return [make('h4', 'Body'), others.length ? make('p', 'Also as ', others.map((it) => make('code', it)), '.') : [], content(api, requestBody.content[JSON_TYPE].schema)];
}

const headers = ({ headers: all = {} }) => table(['header', 'description'], Object.entries(all).map(([name, it]) => [make('code', name), prose('span', it.description)]));

/** An answer that is no error, in full. */
function answer(api, [status, it]) {
  return [make('h4', 'Answer ', make('code', status)), paragraphs(it.description), it.content ? content(api, it.content[JSON_TYPE].schema) : [], headers(it)];
}

/** The errors: all have the same body. */
function errors(responses) {
  const rows = responses.filter((it) => !isGood(it)).map(([status, it]) => [make('code', status), [paragraphs(it.description), headers(it)]]);
  return folded(['Errors: ', rows.map(([code]) => [code.cloneNode(true), ' '])], table(['status', 'kinds'], rows), make('p', 'The body is a ', tag('a', { href: '#schema-Problem' }, 'Problem'), '.'));
}

/** The other path of a call that concerns an LTM. */
function byKey(api, path, method) {
  const other = Object.keys(api.paths).find((other) => api.paths[other][method]?.['x-same-as'] === path);
  return other ? [make('p', 'By class and key: ', make('code', other))] : [];
}

function call(api, { path, method, call: it }) {
  const responses = Object.entries(it.responses);
  const head = [tag('span', { class: 'method', 'data-method': method }, method.toUpperCase()), ' ', make('code', path)];
  const sample = responses.find(isGood)[1].content[JSON_TYPE].example;
  const { command, form } = attempt(path, method, it);
  return article(
    it.operationId, it.summary, head, tag('p', { class: 'summary' }, it.summary), paragraphs(it.description),
    tag('div', { class: 'columns' },
      make('div', byKey(api, path, method), parameters(api, it), body(api, it), responses.filter(isGood).map((one) => answer(api, one)), errors(responses)),
      make('div', make('h4', 'Request'), command, example('Answer', sample), form)),
  );
}

/** Shows the OpenAPI document `api` in the element `place`. */
export function show(api, place) {
  const all = Object.entries(api.paths).flatMap(([path, calls]) => Object.entries(calls).map(([method, it]) => ({ path, method, call: it })));
  const shown = all.filter(({ call: it }) => !it['x-same-as']);
  const group = ({ name, description }) => [make('h2', name), prose('p', description), shown.filter(({ call: it }) => it.tags[0] === name).map((it) => call(api, it))];
  place.replaceChildren(make('h2', 'HTTP API'), ...paragraphs(api.info.description), ...api.tags.flatMap(group).flat(), make('h2', 'Schemas of the HTTP API'), ...schemas(api));
}

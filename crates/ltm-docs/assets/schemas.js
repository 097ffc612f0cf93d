// Shows JSON schemas as tables: the members of an object with their types.
import { article, example, make, paragraphs, prose, resolved, table, tag } from './elements.js';

/** The largest unsigned integer of 64 bits, as this language rounds it. */
const LARGEST = 2 ** 64;

/** The id of a schema's article. The two documents have schemas of the same names. */
const place = (api, name) => `${api.openapi ? 'schema' : 'message-schema'}-${name}`;

function alternatives(api, schemas) {
  return schemas.flatMap((it, n) => [n ? ' or ' : '', type(api, it)]);
}

/** What a number or text may be, in words. */
function bounds({ minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format }) {
  const largest = maximum >= LARGEST ? '2⁶⁴ − 1' : maximum;
  const between = (low, high, unit) => {
    if (low === undefined && high === undefined) return [];
    if (high === undefined) return low ? [`at least ${low}${unit}`] : [];
    return [low === undefined ? `at most ${high}${unit}` : `${low} to ${high}${unit}`];
  };
  // How wide an integer is in memory does not concern a reader.
  const known = format && !/^(int|float|double)/.test(format) ? [format] : [];
  return [...known, ...between(minimum, largest, ''), ...between(minLength, maxLength, ' bytes'), ...between(minItems, maxItems, ' items'), ...(pattern ? [`like ${pattern}`] : [])];
}

/** The type of a value: a name, a link to a schema, or several. */
export function type(api, schema) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return [tag('a', { href: `#${place(api, name)}` }, name)];
  }
  const several = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (several) return alternatives(api, several);
  if ('const' in schema) return [make('code', JSON.stringify(schema.const))];
  if (schema.enum) return schema.enum.flatMap((it, n) => [n ? ', ' : '', make('code', JSON.stringify(it))]);
  const names = [schema.type ?? 'any'].flat();
  const words = names.flatMap((name, n) => {
    const of = name === 'array' && schema.items && Object.keys(schema.items).length ? [' of ', type(api, schema.items)] : [];
    return [n ? ' or ' : '', name, of];
  });
  const more = bounds(schema);
  return more.length ? [...words, ` (${more.join(', ')})`] : words;
}

/** Says what a value is about, also if that is said of one of its alternatives. */
function description(schema) {
  return schema.description ?? (schema.oneOf ?? []).map((it) => it.description).find(Boolean) ?? '';
}

/** The tables of the objects in a schema that have no name of their own. */
function inside(api, schema) {
  const parts = [schema, schema.items, schema.additionalProperties, ...(schema.oneOf ?? [])];
  return parts.filter((it) => it?.properties).map((it) => members(api, it));
}

/** The members of an object as a table. */
export function members(api, schema) {
  const required = new Set(schema.required);
  return table(['member', 'type', 'description'], Object.entries(schema.properties ?? {}).map(([name, it]) => [
    [make('code', name), required.has(name) ? make('small', ' required') : ''], type(api, it), [prose('span', description(it)), inside(api, it)],
  ]));
}

/** A body or payload: the name of its schema, and its members. */
export function content(api, schema) {
  const whole = resolved(api, schema);
  if (whole.properties) return [make('p', 'Type: ', type(api, schema)), members(api, whole)];
  const parts = (whole.oneOf ?? []).map((it) => [make('p', type(api, it), ':'), members(api, resolved(api, it))]);
  return [make('p', 'Type: ', type(api, schema)), whole.items?.$ref ? members(api, resolved(api, whole.items)) : parts];
}

/** The articles of all schemas of a document. */
export function schemas(api) {
  return Object.entries(api.components.schemas).map(([name, schema]) => article(
    place(api, name), name, make('code', name), paragraphs(schema.description),
    schema.properties ? members(api, schema) : [make('p', 'Type: ', type(api, schema)), inside(api, schema)],
    schema.example ? example('Example', schema.example) : [],
  ));
}

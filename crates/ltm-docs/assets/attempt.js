// Tries a call: a form of its parameters and its body, the same as a command, and the answer.
import { make, tag } from './elements.js';
import { token } from './storage.js';

/** Of a longer answer, the page shows the first part. */
const LONGEST = 200_000;
const HEADERS = ['etag', 'link', 'idempotent-replayed', 'retry-after', 'www-authenticate', 'content-type'];

const quoted = (text) => `'${String(text).replaceAll("'", String.raw`'\''`)}'`;

/** JSON with all digits of its numbers, for reading; any other text as it is. */
function readable(text) {
  const exact = (_, value, context) => (typeof value === 'number' && context?.source !== String(value) && JSON.rawJSON ? JSON.rawJSON(context.source) : value);
  try {
    return JSON.stringify(JSON.parse(text, exact), null, 2);
  } catch {
    return text;
  }
}

/** The field of a parameter. What a path names, such as the id, is the same in all forms. */
function field(id, { name, in: place, required, example, schema }) {
  const input = tag('input', { id: `${id}-${name}`, name, autocomplete: 'off', spellcheck: 'false', placeholder: required ? '' : String(example ?? '') });
  if (schema.enum) input.placeholder = schema.enum.join(', ');
  if (place !== 'path') return input;
  input.required = true;
  input.value = example;
  input.dataset.shared = name;
  return input;
}

/** Sets what a path names in all forms. */
function share(name, value) {
  for (const input of document.querySelectorAll(`[data-shared="${name}"]`)) {
    if (input.value === value) continue;
    input.value = value;
    input.dispatchEvent(new Event('input'));
  }
}

class Attempt {
  constructor(path, method, call) {
    Object.assign(this, { path, method: method.toUpperCase(), call });
    const id = call.operationId;
    this.fields = (call.parameters ?? []).map((parameter) => ({ ...parameter, input: field(id, parameter) }));
    const body = call.requestBody?.content['application/json'].example;
    this.body = body && tag('textarea', { id: `${id}-body`, rows: '8', spellcheck: 'false' }, JSON.stringify(body, null, 2));
    this.command = make('pre');
    this.status = tag('p', { role: 'status' });
    this.answer = tag('pre', { hidden: '' });
    const label = (input, text) => make('p', tag('label', { for: input.id }, text), input);
    this.form = tag('form', {}, make('h4', 'Try it'),
      this.fields.map(({ input, name, in: place }) => label(input, `${name} (${place})`)), this.body ? label(this.body, 'Body') : [],
      make('p', tag('button', { type: 'submit' }, `Send ${this.method}`), method === 'get' ? [] : make('small', ' This changes what the service holds.')), this.status, this.answer);
    this.form.addEventListener('input', ({ target }) => {
      if (target?.dataset?.shared) share(target.dataset.shared, target.value);
      this.show();
    });
    for (const { input } of this.fields) input.addEventListener('input', () => this.show());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    this.show();
  }

  /** The URL and the headers, as the fields say. */
  request() {
    let { path } = this;
    const query = new URLSearchParams();
    const headers = {};
    for (const { name, in: place, input } of this.fields) {
      const value = input.value.trim();
      if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
      else if (value && place === 'query') query.set(name, value);
      else if (value) headers[name] = value;
    }
    if (this.body) headers['Content-Type'] = 'application/json';
    const url = new URL(path.slice(1), document.baseURI);
    url.hash = '';
    url.search = query;
    return { url: url.href, headers };
  }

  /** Shows the call as a command. It names the token by a variable: people paste commands into chats. */
  show() {
    const { url, headers } = this.request();
    const all = [...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`), ...(token() ? ['-H "Authorization: Bearer $LTM_TOKEN"'] : []), ...(this.body ? [`-d ${quoted(compact(this.body.value))}`] : [])];
    this.command.textContent = [`curl -sS${this.method === 'GET' ? '' : ` -X ${this.method}`} ${quoted(url)}`, ...all].join(' \\\n  ');
  }

  async send() {
    if (this.method === 'DELETE' && !confirm(`Send ${this.method} ${this.request().url}?`)) return;
    this.running?.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const { url, headers } = this.request();
    if (token()) headers.Authorization = `Bearer ${token()}`;
    this.status.textContent = 'Waiting for the answer …';
    this.answer.hidden = true;
    try {
      const response = await fetch(url, { method: this.method, headers, body: this.body?.value, signal, cache: 'no-store' });
      this.answered(response, await response.text());
    } catch (error) {
      if (!signal.aborted) this.status.textContent = `No answer: ${error.message}`;
    }
  }

  answered(response, text) {
    this.status.replaceChildren(tag('strong', { 'data-good': String(response.ok) }, `${response.status} ${response.statusText}`.trim()), ...this.#found(text));
    const heads = HEADERS.filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`);
    const body = readable(text);
    this.answer.textContent = [...heads, '', body.length > LONGEST ? `${body.slice(0, LONGEST)}\n… (the page shows the first ${LONGEST} characters)` : body].join('\n');
    this.answer.hidden = false;
  }

  /** The LTM of an answer: in the inspector, and in the other forms. */
  #found(text) {
    const id = /^\{"(?:id|copy_id)":\s*(\d+)/.exec(text)?.[1];
    if (!id) return [];
    share('id', id);
    const link = document.getElementById('inspector');
    return link.hidden ? [] : [' ', tag('a', { href: `./#/ltm/${id}` }, `LTM ${id} in the inspector`)];
  }
}

/** A body on one line, if it is JSON. */
function compact(text) {
  return text.includes('\n') ? text.split('\n').map((line) => line.trim()).join(' ') : text;
}

/** The command of a call, and the form that tries it. */
export const attempt = (path, method, call) => new Attempt(path, method, call);

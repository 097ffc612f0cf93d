// What a run was asked, and what came out of it: two lines at the top of its page.

import { pointerBelow, valueAt, type Json, type JsonObject } from 'ltm-live';
import { conversationsOf } from '../data/conversations.js';
import { nameOf, retriesOf } from '../data/errors.js';
import { brief, growingText, member } from '../data/json.js';
import { statusOf } from '../data/status.js';
import { h, setAttribute, setText } from '../elements/dom.js';
import { messageOf } from './messages/message.js';
import type { Model } from './model.js';
import { failureAt } from './step-rows.js';

/** The members of a state that usually hold the one or the other, in the order in which they are looked for. */
const INPUTS = ['input', 'question', 'query', 'prompt', 'task', 'goal', 'request', 'topic'];
const RESULTS = ['output', 'result', 'answer', 'final_answer', 'final_output', 'response', 'report'];
const LONGEST = 400;
/** An object with more members is no list of parameters. */
const MOST_PARAMS = 6;
/** So many messages, from the one end of a conversation or the other, are looked at. */
const MOST_MESSAGES = 100;

/** A text, and where it is in the state; null: not in the state. */
export interface End { text: string; pointer: string | null }

/** What the run was asked: a member of the state, the first message of a user, or the parameters of the LTM. */
export function inputOf(view: Pick<Model['view'], 'params'>, state: JsonObject): End | null {
  const params = view.params;
  const given = params && typeof params === 'object' && Object.keys(params).length > 0 ? params : null;
  return memberOf(state, INPUTS) ?? messageIn(state, 'user') ?? (given && { text: textOf(given as Json), pointer: null });
}

/** What came out so far: a member of the state, or the last message of the assistant. */
export function resultOf(state: JsonObject): End | null {
  return memberOf(state, RESULTS) ?? messageIn(state, 'assistant');
}

function memberOf(state: JsonObject, names: string[]): End | null {
  for (const name of names) {
    const text = textOf(member(state, name) as Json | undefined);
    if (text !== '') return { text, pointer: pointerBelow('', name) };
  }
  return null;
}

/** A value on one line; an empty text if it says nothing. */
function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : growingText(value);
  if (text !== undefined) return text.slice(0, LONGEST).replace(/\s+/g, ' ').trim();
  return typeof value === 'object' && Object.keys(value).length === 0 ? '' : paramsOf(value) ?? brief(value, LONGEST);
}

/** A small object by its members: `model: small, language: en`. */
function paramsOf(value: Json): string | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  if (Object.keys(value).length > MOST_PARAMS) return null;
  const texts = Object.entries(value).map(([name, it]) => `${name}: ${typeof it === 'string' ? it.slice(0, LONGEST) : brief(it)}`);
  return texts.join(', ').slice(0, LONGEST);
}

/** The first message of a user, or the last one of the assistant that has a text, in the first conversation. */
function messageIn(state: JsonObject, role: 'user' | 'assistant'): End | null {
  const pointer = conversationsOf(state)[0];
  const list = pointer === undefined ? [] : (valueAt(state, pointer) as Json[]);
  const first = role === 'user';
  const from = first ? 0 : Math.max(0, list.length - MOST_MESSAGES);
  const some = list.slice(from, from + MOST_MESSAGES);
  const says = (raw: Json) => messageOf(raw).role === role && wordsOf(raw) !== '';
  const place = first ? some.findIndex(says) : some.findLastIndex(says);
  return place < 0 ? null : { text: wordsOf(some[place] as Json), pointer: pointerBelow(pointer as string, from + place) };
}

/** The text of a message, without the signs of Markdown that a line does not need. */
function wordsOf(raw: Json): string {
  const texts = messageOf(raw).parts.map((part) => (part.kind === 'text' ? part.text.slice(0, LONGEST) : ''));
  return texts.join(' ').slice(0, LONGEST).replace(/^#+ |\*\*|`+/gm, '').replace(/\s+/g, ' ').trim();
}

interface Acts { reveal(pointer: string): void; errors(): void }

/** The two lines. A line without anything to say is not there. */
export class Ends {
  readonly element: HTMLElement;
  readonly #rows;
  #seen: Partial<Pick<Model, 'state' | 'index'> & Pick<Model['view'], 'errors' | 'params'>> = {};

  constructor({ reveal, errors }: Acts) {
    const row = (name: string) => {
      const line = { name: h('dt', {}, name), text: h('button', { class: 'end-text' }), act: () => {}, element: document.createElement('div') };
      line.text.addEventListener('click', () => line.act());
      line.element.append(line.name, h('dd', {}, line.text));
      return line;
    };
    this.#rows = { input: row('Input'), result: row('Result') };
    this.element = h('dl', { class: 'ends', 'aria-label': 'Input and result', hidden: true }, this.#rows.input.element, this.#rows.result.element);
    this.#reveal = reveal;
    this.#errors = errors;
  }

  readonly #reveal;
  readonly #errors;

  update({ view, first, index, state }: Model): void {
    // What is there would be that of another step. It keeps its room: the state is known again soon.
    setAttribute(this.element, 'data-unknown', state === undefined ? '' : null);
    const was = this.#seen;
    if (state === undefined || (state === was.state && index === was.index && view.errors === was.errors && view.params === was.params)) return;
    this.#seen = { state, index, errors: view.errors, params: view.params };
    this.#show('input', 'Input', inputOf(view, state));
    const failed = statusOf(state) === 'error' ? failureAt(view.errors, view.snapshots, index - first) : undefined;
    if (failed) this.#show('result', 'Failed', { text: saidBy(failed), pointer: null }, this.#errors);
    else this.#show('result', 'Result', resultOf(state));
    this.element.hidden = this.#rows.input.element.hidden && this.#rows.result.element.hidden;
  }

  #show(which: 'input' | 'result', name: string, end: End | null, act?: () => void): void {
    const row = this.#rows[which];
    row.element.hidden = end === null;
    if (end === null) return;
    const { pointer } = end;
    row.act = act ?? (() => pointer !== null && this.#reveal(pointer));
    row.element.dataset.kind = act ? 'bad' : 'plain';
    setText(row.name, name);
    setText(row.text, end.text);
    row.text.title = act ? 'Show the errors' : pointer === null ? end.text : `Show ${pointer} in the state`;
    (row.text as HTMLButtonElement).disabled = !act && pointer === null;
  }
}

/** An error by its last attempt. */
export function saidBy(error: Model['view']['errors'][number]): string {
  const last = retriesOf(error).at(-1) as { type?: Json; description?: Json } | undefined;
  return last ? `${nameOf(error)}: ${textOf(last.type ?? 'Error')}: ${textOf(last.description)}` : nameOf(error);
}

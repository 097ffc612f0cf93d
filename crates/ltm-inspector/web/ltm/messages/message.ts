// A message, read from any of the forms that engines write: OpenAI's (chat and responses), Anthropic's, LangChain's, AG-UI's.

import type { Json, JsonObject } from 'ltm-live';
import { growingText, member } from '../../data/json.js';
import { plain } from '../../wire/digits.js';

export type Part =
  | { kind: 'text' | 'reasoning'; text: string; growing: boolean }
  /** Something that is no text, such as an image. */
  | { kind: 'data'; label: string; value: Json };

export interface Call {
  id: string | null;
  name: string;
  /** A text is not complete, or not JSON. */
  arguments: Json;
  growing: boolean;
}

export interface Result {
  /** The id of the call that it answers. */
  id: string | null;
  name: string | null;
  value: Json;
  growing: boolean;
  failed: boolean;
}

export interface Message {
  role: Role;
  /** The role in the engine's word. */
  word: string;
  /** Who wrote it, if the message says so. */
  author: string | null;
  parts: Part[];
  calls: Call[];
  results: Result[];
}

type Role = 'user' | 'assistant' | 'system' | 'tool' | 'other';

const ROLES: Record<string, Role> = {
  user: 'user', human: 'user', assistant: 'assistant', ai: 'assistant', model: 'assistant', bot: 'assistant', reasoning: 'assistant',
  function_call: 'assistant', system: 'system', developer: 'system', tool: 'tool', function: 'tool', function_call_output: 'tool',
};

const known = new WeakMap<object, Message>();

/** Reads a message. Gives the same object for the same object. */
export function messageOf(raw: Json): Message {
  if (raw === null || typeof raw !== 'object') return { role: 'other', word: 'message', author: null, parts: [{ kind: 'data', label: 'value', value: raw }], calls: [], results: [] };
  const before = known.get(raw);
  if (before) return before;
  const message = read(Array.isArray(raw) ? { content: raw } : unwrapped(raw as JsonObject));
  known.set(raw, message);
  return message;
}

/** LangChain has the message itself in `data` or in `kwargs`. */
function unwrapped(raw: JsonObject): JsonObject {
  if (raw.type === 'constructor' && isObject(raw.kwargs)) return { ...raw.kwargs, type: String((raw.id as Json[] | undefined)?.at?.(-1)) };
  return isObject(raw.data) && raw.content === undefined ? { ...raw.data, type: raw.type as Json } : raw;
}

/** `HumanMessage` and `AIMessageChunk` are `human` and `ai`. */
function roleOf(raw: JsonObject): string {
  const role = textOf(raw, 'role') ?? textOf(raw, 'type') ?? 'message';
  return /Message(Chunk)?$/.test(role) ? role.replace(/Message(Chunk)?$/, '').toLowerCase() : role;
}

function read(raw: JsonObject): Message {
  const word = roleOf(raw);
  const role = Object.hasOwn(ROLES, word) ? (ROLES[word] as Role) : 'other';
  const message: Message = { role, word, author: textOf(raw, 'name'), parts: [], calls: [], results: [] };
  if (role === 'tool') {
    message.results.push(result(raw, member(raw, 'content') ?? member(raw, 'output') ?? member(raw, 'parts') ?? null));
    return message;
  }
  if (word === 'function_call') message.calls.push(call(raw));
  else if (word === 'reasoning') block(message, { type: 'reasoning', ...raw });
  else content(message, member(raw, 'content') ?? member(raw, 'parts') ?? member(raw, 'text') ?? null);
  const reasoning = member(raw, 'reasoning_content') ?? member(member(raw, 'additional_kwargs'), 'reasoning_content');
  if (reasoning) message.parts.unshift(words('reasoning', reasoning));
  const calls = [member(raw, 'tool_calls'), member(raw, 'toolCalls')].find((it) => Array.isArray(it) && it.length > 0) ?? [];
  for (const it of calls) if (isObject(it)) addCall(message, it);
  if (isObject(raw.function_call)) addCall(message, raw.function_call);
  return message;
}

/** The content of a message: a text, a text that grows, or a list of blocks. */
function content(message: Message, value: Json): void {
  if (Array.isArray(value)) for (const it of value) block(message, it);
  else if (isObject(value) && growingText(value) === undefined) block(message, value);
  else if (value !== null && value !== '') message.parts.push(words('text', value));
}

function block(message: Message, it: Json): void {
  if (!isObject(it)) {
    if (it !== null && it !== '') message.parts.push(words('text', it));
    return;
  }
  const type = textOf(it, 'type') ?? '';
  if (['reasoning', 'thinking', 'redacted_thinking'].includes(type)) {
    for (const text of thoughts(it)) message.parts.push(words('reasoning', text));
  } else if (['tool_use', 'tool_call', 'function_call', 'server_tool_use'].includes(type)) addCall(message, it);
  else if (['tool_result', 'function_call_output'].includes(type)) message.results.push(result(it, member(it, 'content') ?? member(it, 'output') ?? null));
  else if (isObject(it.functionCall)) addCall(message, it.functionCall);
  else if (isObject(it.functionResponse)) message.results.push(result({ ...it.functionResponse, call_id: it.functionResponse.id ?? null }, member(it.functionResponse, 'response') ?? null));
  else if (type.startsWith('tool-') || type === 'dynamic-tool') usage(message, it, type);
  else if (/text$/.test(type) || type === 'refusal' || (type === '' && 'text' in it)) message.parts.push(words('text', member(it, 'text') ?? member(it, 'refusal') ?? ''));
  else message.parts.push({ kind: 'data', label: type || 'content', value: it });
}

/** A call and its result in one block, as in messages of the AI SDK. */
function usage(message: Message, it: JsonObject, type: string): void {
  addCall(message, { id: it.toolCallId ?? null, name: it.toolName ?? type.slice('tool-'.length), args: it.input ?? null });
  const output = member(it, 'output') ?? member(it, 'errorText');
  if (output !== undefined) message.results.push({ ...result(it, output), failed: it.state === 'output-error' });
}

function thoughts(it: JsonObject): Json[] {
  const summary = member(it, 'summary');
  if (Array.isArray(summary) && summary.length > 0) return summary.map((part: Json) => member(part, 'text') ?? '');
  return [member(it, 'thinking') ?? member(it, 'reasoning') ?? member(it, 'text') ?? member(it, 'content') ?? ''].filter((text) => text !== '');
}

function words(kind: 'text' | 'reasoning', value: Json): Part {
  const growing = growingText(value);
  if (growing !== undefined) return { kind, text: growing, growing: true };
  return isContainer(value) ? { kind: 'data', label: kind, value } : { kind, text: plain(value), growing: false };
}

function addCall(message: Message, raw: JsonObject): void {
  const added = call(raw);
  // LangChain has the calls of some models in `content` and in `tool_calls`.
  const same = (it: Call) => it.id !== null && it.id === added.id;
  if (!message.calls.some(same)) message.calls.push(added);
}

function call(raw: JsonObject): Call {
  const inner = isObject(raw.function) ? raw.function : raw;
  const given = member(inner, 'arguments') ?? member(inner, 'args') ?? member(inner, 'input') ?? null;
  const growing = growingText(given);
  return {
    id: textOf(raw, 'call_id') ?? textOf(raw, 'id'), name: textOf(inner, 'name') ?? 'tool',
    arguments: growing ?? (typeof given === 'string' ? parsed(given) : given), growing: growing !== undefined,
  };
}

function result(raw: JsonObject, value: Json): Result {
  const growing = growingText(value);
  const blocks = Array.isArray(value) && value.every((it) => isObject(it) && typeof it.text === 'string') ? value.map((it) => (it as { text: string }).text).join('\n') : value;
  const error = member(raw, 'error');
  return {
    id: ['tool_call_id', 'toolCallId', 'tool_use_id', 'call_id'].map((name) => textOf(raw, name)).find((it) => it !== null) ?? null,
    name: textOf(raw, 'name'),
    value: growing ?? (typeof blocks === 'string' ? parsed(blocks) : blocks ?? error ?? null), growing: growing !== undefined,
    failed: raw.status === 'error' || raw.is_error === true || Boolean(error),
  };
}

/** Longer texts are shown as they are. */
const LONGEST_JSON = 100_000;

/** What a text of JSON means; any other text is itself. Numbers that a double cannot hold stay text. */
function parsed(text: string): Json {
  if (!/^\s*[[{]/.test(text) || text.length > LONGEST_JSON || /\d{16}/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function textOf(raw: object, name: string): string | null {
  const value = member(raw, name);
  return typeof value === 'string' && value !== '' ? value : null;
}

function isContainer(it: unknown): boolean {
  return it !== null && typeof it === 'object';
}

function isObject(it: unknown): it is JsonObject {
  return isContainer(it) && !Array.isArray(it);
}

// Finds conversations in a state: the lists whose entries are messages.

import { pointerBelow, type JsonObject } from 'ltm-live';
import { member } from './json.js';

/** How deep to look, and at how many entries of each list and members of each object. */
const DEEPEST = 5;
const MOST_ENTRIES = 50;
const MOST_MEMBERS = 1000;

/** The types of messages in LangChain's and OpenAI's forms. */
const TYPES = /^(human|ai|system|tool|function|developer|chat|remove|message|function_call|function_call_output|reasoning|\w*Message(Chunk)?)$/;
const TEXTS = ['content', 'parts', 'text'];
const CALLS = ['tool_calls', 'toolCalls', 'function_call'];

/** The pointers that were found below an object. States share equal parts, so a change costs only the objects on its way. */
const known = new WeakMap<object, string[]>();

/** The pointers of the conversations in a state, in its order. */
export function conversationsOf(state: JsonObject): string[] {
  return below(state, DEEPEST);
}

function below(value: unknown, levels: number): string[] {
  if (value === null || typeof value !== 'object') return [];
  const before = known.get(value);
  if (before) return before;
  const found = Array.isArray(value) && isConversation(value) ? [''] : levels > 0 ? within(value, levels - 1) : [];
  known.set(value, found);
  return found;
}

function within(value: object, levels: number): string[] {
  const keys = Array.isArray(value) ? [...value.slice(0, MOST_ENTRIES).keys()] : Object.keys(value).slice(0, MOST_MEMBERS);
  return keys.flatMap((key) => below(member(value, key), levels).map((pointer) => pointerBelow('', key) + pointer));
}

/** Whether most entries of a list are messages. */
function isConversation(list: readonly unknown[]): boolean {
  const looked = list.length > MOST_ENTRIES ? [...list.slice(0, MOST_ENTRIES / 2), ...list.slice(-MOST_ENTRIES / 2)] : list;
  return list.length > 0 && looked.filter(isMessage).length > looked.length / 2;
}

function isMessage(it: unknown): boolean {
  if (it === null || typeof it !== 'object' || Array.isArray(it)) return false;
  const [role, type] = [member(it, 'role'), member(it, 'type')];
  if (typeof role === 'string') return [...TEXTS, ...CALLS].some((name) => Object.hasOwn(it, name));
  // `dumpd` of LangChain.
  if (type === 'constructor') return /Message(Chunk)?$/.test(String(member(it, 'id')?.at?.(-1))) && isObject(member(it, 'kwargs'));
  if (typeof type !== 'string' || !TYPES.test(type)) return false;
  return [...TEXTS, ...CALLS, 'call_id', 'summary'].some((name) => Object.hasOwn(it, name)) || isObject(member(it, 'data'));
}

function isObject(it: unknown): it is JsonObject {
  return it !== null && typeof it === 'object' && !Array.isArray(it);
}

// Calls that change something, and the same calls as commands.

import { Problem } from 'ltm-live';
import { address } from './api.js';
import { quoted, withToken } from './curl.js';
import { mark, stringify } from './digits.js';
import { refused, token } from './session.js';

/** One call of the API. */
export interface Call {
  method: 'POST' | 'DELETE';
  /** For example `ltm/42/rollback`. */
  path: string;
  body?: unknown;
  /** The cursor at which the LTM has to be: if it moved on, nothing happens. */
  match?: string;
}

/** Makes a call once, and returns the answer. */
export async function make<Answer>(call: Call): Promise<Answer> {
  const shown = token();
  const headers = { ...headersOf(call), ...(shown && { Authorization: `Bearer ${shown}` }) };
  let response;
  try {
    response = await fetch(address(call.path), { method: call.method, headers, body: bodyOf(call), cache: 'no-store' });
  } catch {
    throw new Problem({ title: 'No answer', detail: 'The service did not answer. Whether it did what you asked shows when the page is live again.' });
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(mark(text));
  if (response.status === 401) refused();
  let members = {};
  try {
    members = JSON.parse(text);
  } catch {
    // A proxy answered, not the service.
  }
  throw new Problem({ title: `The service answered ${response.status}`, ...members, status: response.status });
}

/** The command that makes the same call. It does not contain the token, because people paste commands into chats. */
export function commandOf(call: Call): string {
  const body = bodyOf(call);
  const headers = Object.entries(headersOf(call)).map(([name, value]) => ` -H ${quoted(`${name}: ${value}`)}`);
  return `curl -sS -X ${call.method} ${quoted(address(call.path))}${headers.join('')}${withToken()}${body === undefined ? '' : ` -d ${quoted(body)}`}`;
}

/** The commands that copy an LTM and then call the copy. They print both answers. */
export function commandsOf(call: Call, next: (id: string) => Call): string {
  const [print, id] = [String.raw`printf '%s\n' "$copy"`, String.raw`sed -n 's/.*"copy_id": *\([0-9]*\).*/\1/p'`];
  const second = commandOf(next('$copy')).replace('$copy', `'"$copy"'`);
  return `copy=$(${commandOf(call)}) && ${print} && copy=$(${print} | ${id}) && [ "$copy" ] && ${second}`;
}

function headersOf({ body, match }: Call): Record<string, string> {
  return { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...(match !== undefined && { 'If-Match': `"${match}"` }) };
}

function bodyOf({ body }: Call): string | undefined {
  return body === undefined ? undefined : stringify(body);
}

// API calls as curl commands.

import { token } from './session.js';

/** A word quoted for a shell. */
export function quoted(text) {
  return `'${String(text).replaceAll("'", String.raw`'\''`)}'`;
}

/** The command for a call. It does not contain the token, because people paste commands into chats. */
export function curl(address) {
  return `curl -sS ${quoted(address)}${withToken()}`;
}

/** The header with the token, by the name of a variable, if the page has a token. */
export function withToken() {
  return token() ? ' -H "Authorization: Bearer $LTM_TOKEN"' : '';
}

// API calls as curl commands.

import { token } from './session.js';

/** A word quoted for a shell. */
function quoted(text) {
  return `'${String(text).replaceAll("'", String.raw`'\''`)}'`;
}

/** The command for a call. It does not contain the token, because people paste commands into chats. */
export function curl(address) {
  const shown = token() ? ' -H "Authorization: Bearer $LTM_TOKEN"' : '';
  return `curl -sS ${quoted(address)}${shown}`;
}

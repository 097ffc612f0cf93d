// Calls as commands for a terminal.

import { token } from './session.js';

/** A word that a shell takes as it is. */
function quoted(text) {
  return `'${String(text).replaceAll("'", String.raw`'\''`)}'`;
}

/** The command that makes a call. The token stays out of it: what is copied ends up in chats. */
export function curl(address) {
  const shown = token() ? ' -H "Authorization: Bearer $LTM_TOKEN"' : '';
  return `curl -sS ${quoted(address)}${shown}`;
}

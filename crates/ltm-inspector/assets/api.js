// Calls of the API.

import { refused, token } from './session.js';

/** Where the services are: beside the page. */
export const ORIGIN = new URL('.', document.baseURI);

/** The address of a call: `ltm/42/state`. */
export function address(path) {
  return new URL(`api/v0/${path}`, ORIGIN);
}

/** An answer that is no success, or none at all (status 0). */
class ApiError extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** A ticket, which lets one socket be opened with the caller's token; null where there is no token. */
export async function ticket(signal) {
  if (!token()) return null;
  const response = await ask('ws-ticket', { method: 'POST', signal });
  return (await response.json()).ticket;
}

/** Asks for something; answers with the response, which is a success. */
export async function ask(path, { method = 'GET', signal } = {}) {
  const shown = token();
  let response;
  try {
    response = await fetch(address(path), { method, headers: shown ? { Authorization: `Bearer ${shown}` } : {}, signal, cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'The service does not answer', 'It may be restarting. This page goes on by itself once it is back.');
  }
  if (response.ok) return response;
  if (response.status === 401) refused();
  throw await problemOf(response);
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  return new ApiError(response.status, problem.title ?? `The service answered ${response.status}`, problem.detail ?? '');
}

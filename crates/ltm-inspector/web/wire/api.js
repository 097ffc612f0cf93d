// Calls of the API.

import { refused, token } from './session.js';

/** The URL of the services: the same as the page's. */
export const ORIGIN = new URL('.', document.baseURI);

/** The URL of a call, for example `ltm/42/state`. */
export function address(path) {
  return new URL(`api/v0/${path}`, ORIGIN);
}

/** An error answer, or no answer (status 0). */
class ApiError extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** Whether the address of the page leads to an API without a gateway: then nothing is live. */
export async function gatewayIsMissing(signal) {
  const response = await fetch(new URL('ws/ltms', ORIGIN), { signal, cache: 'no-store' }).catch(() => null);
  return response?.status === 404;
}

/**
 * Makes a call. Returns the response if it is a success; otherwise throws.
 *
 * @param {string} path
 * @param {{ method?: string, signal?: AbortSignal }} [options]
 */
export async function ask(path, { method = 'GET', signal } = {}) {
  const shown = token();
  let response;
  try {
    response = await fetch(address(path), { method, headers: shown ? { Authorization: `Bearer ${shown}` } : {}, signal, cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'No answer from the service', 'It may be restarting. The page continues by itself when the service is back.');
  }
  if (response.ok) return response;
  if (response.status === 401) refused();
  throw await problemOf(response);
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  return new ApiError(response.status, problem.title ?? `The service answered ${response.status}`, problem.detail ?? '');
}

// Calls of the API.

import { refused, token } from './session.js';

/** The URL of the services: the same as the page's. */
export const ORIGIN = new URL('.', document.baseURI);

/** The URL of the gateway: the page names it if it is elsewhere. */
const GATEWAY = new URL(document.querySelector('meta[name=ltm-gateway]')?.content || '.', document.baseURI);

/** The address of a socket at the gateway, for one under `ORIGIN`. */
export function atGateway(address) {
  const url = new URL(String(address).replace(/^ws/, 'http').replace(ORIGIN.href, GATEWAY.href));
  if (String(address).startsWith('ws')) url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}

/** Throws if no gateway is at its URL. A browser does not report why a socket did not open. */
export async function askGateway(signal) {
  const url = new URL('ws/ltms', GATEWAY);
  const response = await fetch(url, { signal, cache: 'no-store' }).catch(() => null);
  if (response?.status === 404) throw await problemOf(response);
  if (response || signal?.aborted || GATEWAY.origin === ORIGIN.origin) return;
  const advice = `It is not running, or its setting cors.origins does not name ${ORIGIN.origin}.`;
  throw new ApiError(0, `No answer from the gateway at ${GATEWAY.origin}`, advice);
}

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

/** Whether no gateway is at its URL: then nothing is live. */
export async function gatewayIsMissing(signal) {
  return askGateway(signal).then(() => false, (error) => error.status === 404);
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

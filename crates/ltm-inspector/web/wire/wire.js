// `fetch` and sockets for the client, with numbers that keep their digits.

import { mark } from './digits.js';

/** `fetch`; marks the numbers of its answers that a double cannot hold. */
export async function exactFetch(input, init) {
  const response = await fetch(input, init);
  response.json = async () => JSON.parse(mark(await response.text()));
  return response;
}

/** A kind of socket; marks the numbers of its messages that a double cannot hold. */
function exact(Base) {
  return class extends Base {
    #listener = null;

    constructor(...address) {
      super(...address);
      this.addEventListener('message', ({ data }) => this.#listener?.({ data: typeof data === 'string' ? mark(data) : data }));
    }

    get onmessage() {
      return this.#listener;
    }

    set onmessage(listener) {
      this.#listener = listener;
    }
  };
}

// A browser may have only one of them.
export const ExactSocket = globalThis.WebSocket && exact(WebSocket);
export const ExactSource = globalThis.EventSource && exact(EventSource);

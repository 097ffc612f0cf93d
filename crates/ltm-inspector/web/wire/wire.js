// `fetch` and sockets for the client, with numbers that keep their digits.

import { askGateway, atGateway } from './api.js';
import { mark } from './digits.js';

/** `fetch`; marks the numbers of its answers that a double cannot hold. */
export async function exactFetch(input, init) {
  const response = await fetch(input, init);
  response.json = async () => JSON.parse(mark(await response.text()));
  return response;
}

/** A kind of socket, to the gateway. */
function moved(Base) {
  return class extends Base {
    constructor(address, ...more) {
      super(atGateway(address), ...more);
    }
  };
}

// A browser may have only one of them.
const GatewaySocket = globalThis.WebSocket && moved(WebSocket);
const GatewaySource = globalThis.EventSource && moved(EventSource);

/**
 * The sockets of the client, at the gateway.
 *
 * @type {Pick<import('ltm-live').ConnectOptions, 'WebSocket' | 'EventSource'>}
 */
export const sockets = { WebSocket: GatewaySocket, EventSource: GatewaySource };

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

let missing = () => {};

/** Calls `listener` with the reason if a socket did not open because no gateway is at its URL. */
export const onMissingGateway = (listener) => (missing = listener);

export const ExactSocket = GatewaySocket && class extends exact(GatewaySocket) {
  constructor(...address) {
    super(...address);
    const ask = () => askGateway().catch(missing);
    this.addEventListener('close', ask);
    this.addEventListener('open', () => this.removeEventListener('close', ask));
  }
};
export const ExactSource = GatewaySource && exact(GatewaySource);

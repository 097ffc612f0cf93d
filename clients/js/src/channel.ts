import { openSocket, openSource, type Ear, type Link, type SocketConstructor, type SourceConstructor } from './link.js';
import type { Query, Server } from './server.js';

/** What a connection needs from the options. */
export interface Sockets {
  /** The WebSocket to use (default: the runtime's). If the runtime has none: `import WebSocket from 'ws'`. */
  WebSocket?: SocketConstructor | undefined;
  /** The EventSource to use if no WebSocket opens (default: the runtime's). `false`: use WebSockets only. */
  EventSource?: SourceConstructor | false | undefined;
}

/** What to connect to. */
export interface Target {
  /** The part of the address after `ws/` or `sse/`. */
  path: string;
  query: Query;
  token: string | undefined;
  signal: AbortSignal;
}

/** A way to connect. */
export interface Channel {
  /** @throws {Problem} if there is no ticket for the token. */
  open(target: Target, ear: Ear): Promise<Link>;
}

/** The constructors of the options, or else the runtime's. */
export function socketsOf({ WebSocket = globalThis.WebSocket, EventSource = globalThis.EventSource }: Sockets): Sockets {
  if (!WebSocket && !EventSource) {
    throw new TypeError("this runtime has no WebSocket: pass one in the options, from the package 'ws'");
  }
  return { WebSocket, EventSource };
}

/** Fetches a ticket for one connection, because a script cannot send a header with it. */
export async function withTicket(server: Server, { token, query, signal }: Target): Promise<Query> {
  if (token === undefined) {
    return query;
  }
  const read = (response: Response) => response.json();
  const { ticket } = await server.ask('api/v0/ws-ticket', { method: 'POST' }, token, signal, read);
  return { ...query, ticket };
}

/** A connection of its own: by a WebSocket, or by Server-Sent Events if none opened the last time, and so in turn. */
export class OwnConnection implements Channel {
  /** Whether to try Server-Sent Events next. */
  private events = false;

  constructor(
    private readonly server: Server,
    private readonly sockets: Sockets,
  ) {}

  async open(target: Target, ear: Ear): Promise<Link> {
    const { WebSocket, EventSource } = this.sockets;
    const query = await withTicket(this.server, target);
    const events = EventSource && (this.events || !WebSocket);
    const alternating: Ear = {
      ...ear,
      end: (end) => {
        this.events = !end.opened && !events;
        ear.end(end);
      },
    };
    return events
      ? openSource(EventSource, this.server.url(`sse/${target.path}`, query), alternating)
      : openSocket(WebSocket as SocketConstructor, this.server.url(`ws/${target.path}`, query).replace(/^http/, 'ws'), alternating);
  }
}

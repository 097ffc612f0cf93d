/** How a connection ended. */
export interface End {
  /** The close code; 1006 if the connection was lost. */
  code: number;
  reason: string;
  /** Whether the connection was open. */
  opened: boolean;
}

/** A connection that receives messages. */
export interface Link {
  /** Closes the connection. No message arrives after this. */
  close(): void;
  /** Whether the other end answers within this many milliseconds; absent if the connection cannot ask. */
  answers?(milliseconds: number): Promise<boolean>;
}

/** The receiver of a connection's messages and its end. */
export interface Ear {
  /** The connection is open, and can send. */
  open?(send: (data: string) => void): void;
  text(data: string): void;
  end(end: End): void;
}

/** The part of a WebSocket that the client uses. Browsers and the package `ws` have it. */
export interface SocketLike {
  /** The socket is open. */
  onopen: ((event: any) => void) | null;
  /** A message has arrived: `data` of the event. */
  onmessage: ((event: any) => void) | null;
  /** The socket has ended: `code` and `reason` of the event. */
  onclose: ((event: any) => void) | null;
  /** Something went wrong. The end follows. */
  onerror: ((event: any) => void) | null;
  /** Sends a text. */
  send(data: string): void;
  /** Closes the socket. */
  close(code?: number): void;
}

/** The part of an EventSource that the client uses. */
export interface SourceLike {
  /** The stream is open. */
  onopen: ((event: any) => void) | null;
  /** A message has arrived: `data` of the event. */
  onmessage: ((event: any) => void) | null;
  /** The stream is lost. */
  onerror: ((event: any) => void) | null;
  /** Adds a listener for the events of another type. */
  addEventListener(type: string, listener: (event: any) => void): void;
  /** Closes the stream. */
  close(): void;
}

/** A class such as `WebSocket`. */
export type SocketConstructor = new (url: string) => SocketLike;
/** A class such as `EventSource`. */
export type SourceConstructor = new (url: string) => SourceLike;

/** How long a connection may take to open, in milliseconds. */
const OPEN = 10_000;
const LOST = 1006;

export function openSocket(Socket: SocketConstructor, url: string, ear: Ear): Link {
  return open(ear, (heard) => {
    const socket = new Socket(url);
    socket.onopen = () => heard.open((data) => socket.send(data));
    socket.onmessage = ({ data }) => heard.text(data);
    socket.onclose = ({ code, reason }) => heard.end(code, reason);
    // A close follows. `ws` throws if there is no listener.
    socket.onerror = () => {};
    return () => socket.close();
  });
}

export function openSource(Source: SourceConstructor, url: string, ear: Ear): Link {
  return open(ear, (heard) => {
    const source = new Source(url);
    source.onopen = () => heard.open(() => {});
    source.onmessage = ({ data }) => heard.text(data);
    source.addEventListener('end', ({ data }) => heard.text(data));
    // An EventSource would reconnect by itself: without a pause, and with a used ticket.
    source.onerror = () => heard.end(LOST, '');
    return () => source.close();
  });
}

interface Heard {
  open: (send: (data: string) => void) => void;
  text: (data: unknown) => void;
  end: (code: number, reason: string) => void;
}

/** Common to both: a connection ends once, and it ends if it does not open in time. */
function open(ear: Ear, start: (heard: Heard) => () => void): Link {
  let opened = false;
  let done = false;
  let stop: (() => void) | undefined;
  const close = () => {
    done = true;
    clearTimeout(timer);
    stop?.();
  };
  const end = (code: number, reason: string) => {
    if (!done) {
      close();
      ear.end({ code, reason, opened });
    }
  };
  const timer = setTimeout(() => end(LOST, 'it did not open in time'), OPEN);
  const heard = {
    open: (send: (data: string) => void) => {
      if (!done) {
        opened = true;
        clearTimeout(timer);
        ear.open?.(send);
      }
    },
    text: (data: unknown) => {
      if (!done) {
        ear.text(String(data));
      }
    },
    end,
  };
  try {
    stop = start(heard);
  } catch (error) {
    // A page served over https may not open ws: and throws at once, before the caller has the link.
    queueMicrotask(() => end(LOST, String(error)));
  }
  return { close };
}

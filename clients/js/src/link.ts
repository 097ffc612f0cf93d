/** How a connection ended. */
export interface End {
  /** The close code; 1006 where the connection was lost. */
  code: number;
  reason: string;
  /** Whether it was open before. */
  opened: boolean;
}

/** A connection over which messages come. */
export interface Link {
  /** Closes it; nothing comes from it any more. */
  close(): void;
}

/** What hears from a connection. */
export interface Ear {
  text(data: string): void;
  end(end: End): void;
}

/** What is needed of a WebSocket: those of browsers and of the package `ws` have it. */
export interface SocketLike {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  close(code?: number): void;
}

/** What is needed of an EventSource. */
export interface SourceLike {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  addEventListener(type: string, listener: (event: any) => void): void;
  close(): void;
}

export type SocketConstructor = new (url: string) => SocketLike;
export type SourceConstructor = new (url: string) => SourceLike;

/** How long a connection may take to open. */
const OPEN = 10_000;
const LOST = 1006;

export function openSocket(Socket: SocketConstructor, url: string, ear: Ear): Link {
  return open(ear, (heard) => {
    const socket = new Socket(url);
    socket.onopen = heard.open;
    socket.onmessage = ({ data }) => heard.text(data);
    socket.onclose = ({ code, reason }) => heard.end(code, reason);
    // A close follows. `ws` throws where nobody listens.
    socket.onerror = () => {};
    return () => socket.close();
  });
}

export function openSource(Source: SourceConstructor, url: string, ear: Ear): Link {
  return open(ear, (heard) => {
    const source = new Source(url);
    source.onopen = heard.open;
    source.onmessage = ({ data }) => heard.text(data);
    source.addEventListener('end', ({ data }) => heard.text(data));
    // It would connect again by itself, with a ticket that was used and without a pause.
    source.onerror = () => heard.end(LOST, '');
    return () => source.close();
  });
}

interface Heard {
  open: () => void;
  text: (data: unknown) => void;
  end: (code: number, reason: string) => void;
}

/** The same for both: a connection ends once, and one that does not open in time ends, too. */
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
    open: () => {
      opened = true;
      clearTimeout(timer);
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
    // A page with https may not open ws:, and says so at once; whoever asked has no link yet.
    queueMicrotask(() => end(LOST, String(error)));
  }
  return { close };
}

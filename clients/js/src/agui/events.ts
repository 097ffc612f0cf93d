/** An event of a stream of Server-Sent Events, or `undefined` for bytes that complete none. */
export type StreamEvent = { readonly id?: string; readonly data: string } | undefined;

/** The events in a body, and a sign of life for each piece of it. An event that the end cuts off is dropped. */
export async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // Pieces without an end of an event are kept apart: a large event arrives in many.
  let pieces: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      const text = decoder.decode(value, { stream: true });
      const last = pieces.at(-1) ?? '';
      if (!text.includes('\n\n') && !(last.endsWith('\n') && text.startsWith('\n'))) {
        // A piece may end within a character, and then be empty.
        if (text) {
          pieces.push(text);
        }
        yield undefined;
        continue;
      }
      const events = (pieces.join('') + text).split('\n\n');
      pieces = [events.pop() ?? ''];
      for (const event of events) {
        yield eventOf(event);
      }
    }
  } finally {
    // The reader may have failed already.
    await reader.cancel().catch(() => {});
  }
}

/** A comment is no event. */
function eventOf(text: string): StreamEvent {
  let id: string | undefined;
  const data: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('data:')) {
      data.push(line.slice(5).replace(/^ /, ''));
    } else if (line.startsWith('id:')) {
      id = line.slice(3).trim();
    }
  }
  return data.length ? { ...(id !== undefined && { id }), data: data.join('\n') } : undefined;
}

// An EventSource for Node 20, of what the client uses.
export class EventSource {
  static opened = [];
  #stop = new AbortController();
  #listeners = {};

  constructor(url) {
    EventSource.opened.push(url);
    this.#run(url).catch(() => this.onerror?.({}));
  }

  async #run(url) {
    const response = await fetch(url, { signal: this.#stop.signal, headers: { Accept: 'text/event-stream' } });
    if (!response.ok) throw new Error(`${response.status}`);
    this.onopen?.({});
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (text + chunk).split('\n\n');
      text = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split('\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1).trim()]));
        if (fields.data === undefined) continue;
        const type = fields.event ?? 'message';
        if (type === 'message') this.onmessage?.({ data: fields.data });
        else this.#listeners[type]?.({ data: fields.data });
      }
    }
    throw new Error('it ended');
  }

  addEventListener(type, listener) {
    this.#listeners[type] = listener;
  }

  close() {
    this.#stop.abort();
    this.onerror = undefined;
  }
}

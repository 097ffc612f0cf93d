// A TCP proxy before the services that does to connections what networks do.
import { connect, createServer } from 'node:net';

export class Proxy {
  static async start(target) {
    const proxy = new Proxy();
    proxy.target = new URL(target);
    proxy.pairs = new Set();
    proxy.opened = 0;
    proxy.bytes = 0;
    proxy.budget = Infinity;
    proxy.server = createServer((client) => proxy.join(client));
    // A test that fails must not keep the process.
    proxy.server.unref();
    proxy.server.listen(0, '127.0.0.1');
    await new Promise((resolve) => proxy.server.once('listening', resolve));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  join(client) {
    this.opened++;
    const server = connect(this.target.port, this.target.hostname);
    const pair = { client, server, frozen: false };
    this.pairs.add(pair);
    const end = () => {
      client.destroy();
      server.destroy();
      this.pairs.delete(pair);
    };
    client.on('error', end).on('close', end);
    // A dead network does not carry the end of a connection either.
    const ended = () => pair.frozen || end();
    server.on('error', ended).on('close', ended);
    client.on('data', (data) => {
      if (this.refuses?.(data)) return end();
      pair.isSocket ||= /^upgrade: websocket\r$/im.test(data.toString('latin1'));
      if (!pair.frozen) server.write(data);
    });
    server.on('data', (data) => {
      if (pair.frozen) return;
      const changed = this.change?.(data) ?? data;
      this.bytes += changed.length;
      if (this.bytes < this.budget) {
        client.write(changed);
        return;
      }
      // What comes before the cut arrives, and then every connection is lost.
      const rest = changed.subarray(0, changed.length - (this.bytes - this.budget));
      this.budget = Infinity;
      this.wasCut = true;
      const others = [...this.pairs].filter((other) => other !== pair);
      client.write(rest, () => {
        end();
        others.forEach(({ client, server }) => (client.destroy(), server.destroy()));
      });
    });
  }

  /** Loses every connection once so many more bytes have come from the services; after that no more. */
  cutAfter(bytes) {
    this.bytes = 0;
    this.wasCut = false;
    this.budget = bytes;
  }

  cut() {
    this.pairs.forEach(({ client, server }) => (client.destroy(), server.destroy()));
  }

  /** Lets nothing more through on the WebSockets that there are, and closes none of them. */
  freezeSockets() {
    this.pairs.forEach((pair) => (pair.frozen = pair.isSocket));
  }

  /** Lets nothing more through on any connection that there is, and closes none of them. */
  freeze() {
    this.pairs.forEach((pair) => (pair.frozen = true));
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

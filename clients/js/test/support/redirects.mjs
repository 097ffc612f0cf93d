// A server that redirects every call to the services, as a proxy from http to https does. Pages may call it.
import { createServer } from 'node:http';

export class Redirects {
  static async start(target, status) {
    const redirects = new Redirects();
    redirects.asked = [];
    redirects.server = createServer(({ method, url }, response) => {
      redirects.asked.push(`${method} ${url}`);
      const allowed = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*', 'Access-Control-Allow-Methods': '*' };
      if (method === 'OPTIONS') response.writeHead(204, allowed);
      else response.writeHead(status, { ...allowed, Location: `${target}${url}` });
      response.end();
    });
    redirects.server.unref();
    redirects.server.listen(0, '127.0.0.1');
    await new Promise((resolve) => redirects.server.once('listening', resolve));
    redirects.url = `http://127.0.0.1:${redirects.server.address().port}`;
    return redirects;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

// An agent that speaks AG-UI, and does what the test says.

import { once } from "node:events";
import { createServer } from "node:http";

export class Agent {
  /// Starts it. Each run waits in `runs` until the test takes it.
  static async start() {
    const agent = new Agent();
    agent.waiting = [];
    agent.takers = [];
    agent.server = createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const run = new Run(JSON.parse(Buffer.concat(pieces)), response);
      const taker = agent.takers.shift();
      if (taker) taker(run);
      else agent.waiting.push(run);
    });
    agent.server.listen(0, "127.0.0.1");
    await once(agent.server, "listening");
    agent.url = `http://127.0.0.1:${agent.server.address().port}`;
    return agent;
  }

  /// The next run that a recorder asks for.
  async asked() {
    return this.waiting.shift() ?? (await new Promise((resolve) => this.takers.push(resolve)));
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

class Run {
  constructor(input, response) {
    this.input = input;
    this.response = response;
    this.closed = once(response, "close");
    response.writeHead(200, { "content-type": "text/event-stream" });
    this.send({ type: "RUN_STARTED" }, { type: "STATE_SNAPSHOT", snapshot: { harbours: [] } });
  }

  send(...events) {
    const { threadId, runId } = this.input;
    for (const event of events) {
      const ids = event.type.startsWith("RUN_") ? { threadId, runId } : {};
      this.response.write(`data: ${JSON.stringify({ ...event, ...ids })}\n\n`);
    }
  }

  /// The first half of an answer.
  begin() {
    this.send({ type: "TEXT_MESSAGE_START", messageId: "m1", role: "assistant" });
    this.visit("Lund");
  }

  visit(place) {
    this.send(
      { type: "TEXT_MESSAGE_CONTENT", messageId: "m1", delta: `${place} ` },
      { type: "STATE_DELTA", delta: [{ op: "add", path: "/harbours/-", value: place }] },
    );
  }

  /// The rest of it.
  finish() {
    for (const place of ["Oslo", "Bergen"]) this.visit(place);
    this.end();
  }

  end() {
    this.send({ type: "TEXT_MESSAGE_END", messageId: "m1" }, { type: "RUN_FINISHED" });
    this.response.end();
  }
}

// Clients of AG-UI that others publish follow LTMs: @ag-ui/client in both of its major versions, and CopilotKit.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ProxiedCopilotRuntimeAgent } from "@copilotkit/core";
import * as old from "agui-client-0";
import * as current from "agui-client-1";

import { events, messages, record } from "./recorded.mjs";
import { Service, until, write } from "./service.mjs";

/// The cursor of an event. What the clients add to messages has it in `rawEvent`: they keep `metadata` in the message.
const cursorOf = ({ metadata, rawEvent }) => (metadata ?? rawEvent)?.["ltm-live"]?.cursor;

let service;
const warnings = [];
const rejections = [];
process.on("unhandledRejection", (error) => rejections.push(error));

before(async () => {
  service = await Service.start();
  // A client that cannot apply a patch only warns.
  console.warn = (...what) => warnings.push(what.join(" "));
});
after(async () => {
  await service.stop();
  assert.deepEqual(rejections, []);
  assert.deepEqual(warnings, []);
});

for (const [version, { HttpAgent }] of [["1.0.0", current], ["0.0.59", old]]) {
  const agent = (path, more = {}) => new HttpAgent({ url: `${service.url}/agui${path}`, threadId: "t", ...more });

  test(`${version}: the state of the agent is the state of the LTM, from the first entry to the end`, async () => {
    const { id } = await service.create({ n: 0, _status: "active" });
    const live = agent(`/${id}`);
    const run = live.runAgent();
    await until(live, (state) => state.n === 0);
    await write(service, id);
    await run;
    assert.deepEqual(live.state, await service.state(id));
    const late = agent(`/${id}?steps=1`);
    await late.runAgent();
    assert.deepEqual(late.state, live.state);
  });

  test(`${version}: an agent that stops reading resumes after its cursor and misses nothing`, async () => {
    const { id } = await service.create({ n: 0, _status: "active" });
    const agents = agent(`/${id}`);
    let cursor;
    agents.subscribe({ onEvent: ({ event }) => { cursor = cursorOf(event) ?? cursor; } });
    const first = agents.runAgent();
    await until(agents, (state) => state.n === 0);
    await service.append(id, { merge: { n: 1 } });
    await until(agents, (state) => state.n === 1);
    agents.abortRun();
    await first.catch(() => {});
    const types = [];
    agents.subscribe({ onEvent: ({ event }) => { types.push(event.type); } });
    await service.append(id, { merge: { n: 2, _status: "finished" } });
    const at = cursor;
    await agents.runAgent({ forwardedProps: { ltm: { after: at } } });
    assert.deepEqual(agents.state, { n: 2, _status: "finished" });
    assert.deepEqual(types, ["RUN_STARTED", "STATE_DELTA", "RUN_FINISHED"]);
    const again = agent(`/${id}?after=${at}`, { initialState: { n: 1, _status: "active" } });
    await again.runAgent();
    assert.deepEqual(again.state, agents.state);
  });

  test(`${version}: messages of the state are the messages of the agent`, async () => {
    const { id } = await service.create({ _messages: [{ id: "1", role: "user", content: "hi" }], _status: "active" });
    const chat = agent(`/${id}`);
    const run = chat.runAgent();
    await until(chat, (_, messages) => messages.length === 1);
    const answer = { id: "2", role: "assistant", content: "hello" };
    await service.append(id, { patch: [{ op: "add", path: "/_messages/-", value: answer }] });
    await until(chat, (_, messages) => messages[1]?.content === "hello");
    await service.append(id, { patch: [{ op: "replace", path: "/_messages/1/content", value: "hello again" }] });
    await until(chat, (_, messages) => messages[1]?.content === "hello again");
    await service.append(id, { merge: { _status: "finished" } });
    await run;
    assert.deepEqual(chat.messages.map(({ role, content }) => [role, content]), [["user", "hi"], ["assistant", "hello again"]]);
    assert.deepEqual(chat.state, await service.state(id));
  });

  test(`${version}: wherever a page attaches to a recorded run, or resumes, it ends with the same messages`, async () => {
    const all = events();
    for (const resumes of [false, true]) {
      for (let cut = 0; cut <= all.length; cut++) {
        const { id } = await service.create({ _status: "active", _run: {}, _messages: [] });
        let cursor = (await service.call("GET", `/ltm/${id}/state`)).cursor;
        const page = agent(`/${id}`);
        if (resumes && cut > 0) {
          page.subscribe({ onEvent: ({ event }) => { cursor = cursorOf(event) ?? cursor; } });
          const first = page.runAgent();
          await until(page, (state) => Object.keys(state).length === 0);
          await record(service, id, all.slice(0, cut));
          const head = (await service.call("GET", `/ltm/${id}/state`)).cursor;
          await until(page, () => cursor === head || !page.isRunning);
          page.abortRun();
          await first.catch(() => {});
        } else {
          await record(service, id, all.slice(0, cut));
        }
        const seen = [];
        page.subscribe({ onEvent: ({ event }) => { seen.push(event.type); } });
        const second = page.runAgent(resumes ? { forwardedProps: { ltm: { after: cursor } } } : {});
        // Half of the rest comes while the page reads.
        await record(service, id, all.slice(cut, cut + 2));
        await record(service, id, all.slice(cut + 2));
        await second;
        const known = page.messages.map(({ content, toolCalls, ...message }) => ({ ...message, ...(content ? { content } : {}), ...(toolCalls ? { toolCalls } : {}) }));
        assert.deepEqual(known, messages, `cut ${cut}, resumes ${resumes}: ${seen}`);
        assert.deepEqual(page.state, { plan: ["add", "answer"] }, `cut ${cut}: ${seen}`);
      }
    }
  });

  test(`${version}: a failed or deleted LTM is an error of the run`, async () => {
    for (const end of [
      (id) => service.append(id, { merge: { _status: "error" } }),
      (id) => service.call("DELETE", `/ltm/${id}`),
    ]) {
      const { id } = await service.create({ n: 0 });
      const failing = agent(`/${id}`);
      let code;
      failing.subscribe({ onRunErrorEvent: ({ event }) => { code = event.code; } });
      const run = failing.runAgent().catch((error) => error);
      await until(failing, (state) => state.n === 0);
      await end(id);
      await run;
      assert.match(code, /^(ltm-error|deleted)$/);
    }
  });

  test(`${version}: an answer that a stopping gateway ends keeps its state, and no rejection is unhandled`, async () => {
    const draining = await Service.start();
    try {
      const { id } = await draining.create({ n: 0 });
      const agents = new HttpAgent({ url: `${draining.url}/agui/${id}`, threadId: "t" });
      const run = agents.runAgent();
      await until(agents, (state) => state.n === 0);
      await draining.append(id, { merge: { n: 1 } });
      await until(agents, (state) => state.n === 1);
      await draining.drain();
      await run;
      assert.deepEqual(agents.state, { n: 1 });
    } finally {
      await draining.stop();
    }
  });
}

for (const transport of ["rest", "single"]) {
  test(`CopilotKit, ${transport}: a page that connects gets the thread, and follows it`, async () => {
    const key = `thread ${transport}/ä`;
    const { id } = await service.create({ n: 0, _status: "active" }, { key });
    const page = () => new ProxiedCopilotRuntimeAgent({ runtimeUrl: `${service.url}/agui`, agentId: "app.Agent", threadId: key, transport });
    const live = page();
    const connected = live.connectAgent();
    await until(live, (state) => state.n === 0);
    await write(service, id);
    await connected;
    assert.deepEqual(live.state, await service.state(id));
    const late = page();
    await late.runAgent();
    assert.deepEqual(late.state, live.state);
    late.abortRun();
  });

  test(`CopilotKit, ${transport}: a new thread is empty, and cannot run here`, async () => {
    const page = new ProxiedCopilotRuntimeAgent({ runtimeUrl: `${service.url}/agui`, agentId: "app.Agent", threadId: `new-${transport}`, transport });
    await page.connectAgent();
    assert.deepEqual(page.messages, []);
    let message;
    page.subscribe({ onRunErrorEvent: ({ event }) => { message = event.message; } });
    await page.runAgent().catch(() => {});
    assert.match(message, /does not run agents/);
  });
}

test("CopilotKit: the classes of LTMs are the agents of the runtime", async () => {
  await service.create({}, { fqn: "app.Other", key: "1" });
  const info = await (await fetch(`${service.url}/agui/info`)).json();
  assert.ok(info.agents["app.Other"] && info.agents.ltm);
  assert.equal(info.mode, "sse");
});

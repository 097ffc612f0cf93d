// Agents of others (LangGraph, Pydantic AI) recorded by `ltm agui`, for pages with @ag-ui/client in both of its major
// versions: a recorded run has the messages and the state of the run itself, whoever leaves.
//
// `node --test record.mjs`; LTM_AGUI_PYTHON names a Python with the packages of record-requirements.txt.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import * as old from "agui-client-0";
import * as current from "agui-client-1";

import { Service, program, startRecorder, until } from "./service.mjs";

const python = process.env.LTM_AGUI_PYTHON ?? "python3";
const question = { id: "q1", role: "user", content: "Which harbours?" };

let service, agents, recorder;
const rejections = [];
process.on("unhandledRejection", (error) => rejections.push(error));

const record = () => startRecorder(service, { "app.Graph": `${agents.url}/langgraph`, "app.Pydantic": `${agents.url}/pydantic` });

before(async () => {
  service = await Service.start();
  const script = join(import.meta.dirname, "record_agents.py");
  agents = await program(python, [script], {}, (line) => line.startsWith("http://") && line);
  recorder = await record();
});
after(async () => {
  await recorder?.stop();
  await agents?.stop("SIGKILL");
  await service?.stop();
  assert.deepEqual(rejections, []);
});

/// Messages and state without the ids that each run makes anew.
function told({ messages, state }) {
  const names = new Map();
  const plain = (value, key) => {
    if (Array.isArray(value)) return value.map((item) => plain(item));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, name)]));
    if ((key === "id" || key === "toolCallId") && typeof value === "string") {
      if (!names.has(value)) names.set(value, `id-${names.size}`);
      return names.get(value);
    }
    return value;
  };
  const kept = messages.map(({ metadata, rawEvent, ...message }) => ({ content: "", ...message }));
  return plain({ messages: kept, state });
}

const until_ended = (fqn, thread) => service.call("GET", `/ltm/by-key/${fqn}/${thread}/wait?status=finished,error&timeout=20s`);

for (const [version, { HttpAgent }] of [["1.0.0", current], ["0.0.59", old]]) {
  for (const [fqn, path] of [["app.Graph", "/langgraph"], ["app.Pydantic", "/pydantic"]]) {
    const page = (url, threadId) => new HttpAgent({ url, threadId, initialMessages: [question] });
    const thread = (name) => `${name}-${version}`;
    const undisturbed = async (name) => {
      const direct = page(`${agents.url}${path}`, thread(name));
      await direct.runAgent();
      return told(direct);
    };

    test(`${version}, ${fqn}: a recorded run tells its page what the agent tells it`, async () => {
      const recorded = page(`${recorder.url}/agui/${fqn}`, thread("same"));
      await recorded.runAgent();
      assert.deepEqual(told(recorded), await undisturbed("same-direct"));
      const later = new HttpAgent({ url: `${service.url}/agui/${fqn}/${thread("same")}`, threadId: thread("same") });
      await later.runAgent();
      assert.deepEqual(told(later), told(recorded), "a page that comes later");
    });

    test(`${version}, ${fqn}: a page that comes after another has left has all of the run`, async () => {
      const first = page(`${recorder.url}/agui/${fqn}`, thread("left"));
      const run = first.runAgent().catch(() => {});
      await until(first, (_, messages) => messages.some(({ role }) => role === "assistant"));
      first.abortRun();
      await run;
      // At the gateway it starts no run, however late it comes.
      const second = new HttpAgent({ url: `${service.url}/agui/${fqn}/${thread("left")}`, threadId: thread("left") });
      await second.runAgent();
      assert.deepEqual(told(second), await undisturbed("left-direct"));
    });

    test(`${version}, ${fqn}: a run whose recorder is killed ends with an error, and the thread goes on`, async () => {
      const first = page(`${recorder.url}/agui/${fqn}`, thread("killed"));
      const run = first.runAgent().catch(() => {});
      await until(first, (_, messages) => messages.some(({ role }) => role === "assistant"));
      first.abortRun();
      await run;
      await recorder.stop("SIGKILL");
      recorder = await record();
      assert.equal((await until_ended(fqn, thread("killed"))).status, "error");
      const second = page(`${recorder.url}/agui/${fqn}/${thread("killed")}`, thread("killed"));
      await second.runAgent();
      assert.equal((await until_ended(fqn, thread("killed"))).status, "finished");
      assert.match(JSON.stringify(second.messages.at(-1)), /Tromsø/);
    });
  }
}

test("events of an agent's stream can be recorded as they come", async () => {
  const input = { threadId: "t", runId: "r", state: {}, messages: [question], tools: [], context: [], forwardedProps: {} };
  const headers = { "content-type": "application/json", accept: "text/event-stream" };
  const stream = await fetch(`${agents.url}/pydantic`, { method: "POST", headers, body: JSON.stringify(input) });
  const answer = await fetch(`${recorder.url}/agui/app.Pydantic/posted/events`, {
    method: "POST",
    headers: { "content-type": "text/event-stream" },
    body: stream.body,
    duplex: "half",
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal((await answer.json()).running, false);
  assert.deepEqual((await service.call("GET", "/ltm/by-key/app.Pydantic/posted/state")).state.notes, ["Lund", "Oslo"]);
});

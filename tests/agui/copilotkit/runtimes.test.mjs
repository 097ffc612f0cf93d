// Two CopilotKit runtimes with LtmAgentRunner on one ltm-live: each serves every thread, and a run survives the loss of the
// runtime that started it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ProxiedCopilotRuntimeAgent } from "@copilotkit/core";

import { LtmAgent, LtmAgentRunner } from "../../../clients/js/dist/agui/index.js";
import { Service, program, startRecorder, until } from "../service.mjs";
import { Agent } from "./agent.mjs";

const fqn = "app.Harbours";
const question = { id: "q1", role: "user", content: "Which harbours?" };
const answer = { id: "m1", role: "assistant", content: "Lund Oslo Bergen " };

let service, agent, recorder;
const runtimes = [];
before(async () => {
  [service, agent] = await Promise.all([Service.start(), Agent.start()]);
  recorder = await startRecorder(service, { [fqn]: agent.url });
  runtimes.push(...(await Promise.all([startRuntime(), startRuntime()])));
});
after(async () => {
  for (const runtime of runtimes) await runtime.stop("SIGKILL");
  await recorder?.stop();
  await agent?.stop();
  await service?.stop();
});

const startRuntime = () =>
  program(process.execPath, [join(import.meta.dirname, "runtime.mjs"), service.url, recorder.url], { COPILOTKIT_TELEMETRY_DISABLED: "true" }, (line) =>
    line.startsWith("http://") && line);
const page = (runtime, threadId, initialMessages = []) =>
  new ProxiedCopilotRuntimeAgent({ runtimeUrl: runtime.url, agentId: fqn, threadId, initialMessages, transport: "rest" });
const plain = ({ messages }) => messages.map(({ id, role, content }) => ({ id, role, content }));

test("a run that one runtime began, and died, goes on at another with only the thread id", async () => {
  // Without a client of AG-UI, which ends the program if its connection is lost.
  const input = { threadId: "lost", runId: "run-1", state: {}, messages: [question], tools: [], context: [], forwardedProps: {} };
  const headers = { "content-type": "application/json" };
  const first = await fetch(`${runtimes[0].url}/agent/${fqn}/run`, { method: "POST", headers, body: JSON.stringify(input) });
  const run = await agent.asked();
  run.begin();
  const seen = first.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes("Lund"); ) text += (await seen.read()).value;
  await runtimes[0].stop("SIGKILL");
  await assert.rejects(async () => { while (!(await seen.read()).done); });
  const second = page(runtimes[1], "lost");
  const connected = second.connectAgent();
  await until(second, (state) => state.harbours?.length === 1);
  run.finish();
  await connected;
  assert.deepEqual(plain(second), [question, answer]);
  assert.deepEqual(second.state, { harbours: ["Lund", "Oslo", "Bergen"] });
  runtimes[0] = await startRuntime();
  const third = page(runtimes[0], "lost");
  await third.connectAgent();
  assert.deepEqual([plain(third), third.state], [plain(second), second.state]);
});

test("each runtime knows which threads run, and stops the run of another", async () => {
  const runner = new LtmAgentRunner({ url: service.url, recorder: recorder.url });
  const first = page(runtimes[0], "stopped", [question]);
  const begun = first.runAgent();
  const run = await agent.asked();
  run.begin();
  await until(first, (state) => state.harbours?.length === 1);
  assert.equal(await runner.isRunning({ threadId: "stopped" }), true);
  assert.equal(await runner.isRunning({ threadId: "unknown" }), false);
  assert.equal(await runner.stop({ threadId: "stopped", runId: "another" }), false);
  const asked = await fetch(`${runtimes[1].url}/agent/${fqn}/stop/stopped`, { method: "POST" });
  assert.equal((await asked.json()).stopped, true);
  await run.closed;
  await begun;
  assert.equal(await runner.isRunning({ threadId: "stopped" }), false);
  assert.equal(await runner.stop({ threadId: "stopped" }), false);
});

test("a page that starts a run of a running thread gets that run, at each runtime", async () => {
  const pages = runtimes.map((runtime, i) => page(runtime, "twice", [{ ...question, id: `q${i}` }]));
  const runs = [pages[0].runAgent()];
  const run = await agent.asked();
  run.begin();
  await until(pages[0], (state) => state.harbours?.length === 1);
  runs.push(pages[1].runAgent());
  await until(pages[1], (state) => state.harbours?.length === 1);
  run.finish();
  await Promise.all(runs);
  for (const one of pages) assert.deepEqual(one.state.harbours, ["Lund", "Oslo", "Bergen"]);
});

test("a new thread is empty", async () => {
  const connected = page(runtimes[0], "new");
  await connected.connectAgent();
  assert.deepEqual([connected.messages, connected.state], [[], {}]);
});

test("LtmAgent runs and stops the agent of a recorder", async () => {
  const direct = new LtmAgent({ url: recorder.url, fqn, threadId: "direct", initialMessages: [question] });
  const begun = direct.runAgent();
  const run = await agent.asked();
  run.begin();
  await until(direct, (state) => state.harbours?.length === 1);
  assert.equal(await direct.stopRun(), true);
  await begun;
  await run.closed;
  assert.equal(await direct.stopRun(), false);
});

test("the runner has the type that CopilotKit's runtime asks for", () => {
  const tsc = join(import.meta.dirname, "../../../clients/js/node_modules/.bin/tsc");
  const options = "--noEmit --strict --skipLibCheck --module nodenext --target es2022".split(" ");
  const { status, stdout } = spawnSync(tsc, [...options, join(import.meta.dirname, "types.ts")], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

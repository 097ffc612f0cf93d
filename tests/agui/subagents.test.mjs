// A recorded run with subagents: the client of AG-UI rejects an event that names another subagent than what it continues.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as current from "agui-client-1";

import { record } from "./recorded.mjs";
import { Service, until } from "./service.mjs";

let service;
const warnings = [];
before(async () => {
  service = await Service.start();
  console.warn = (...what) => warnings.push(what.join(" "));
});
after(async () => {
  await service.stop();
  assert.deepEqual(warnings, []);
});

const cursorOf = ({ metadata, rawEvent }) => (metadata ?? rawEvent)?.["ltm-live"]?.cursor;
const step = (kind, subagentRunId) => [{ type: `STEP_${kind}`, stepName: "tools", ...(subagentRunId && { subagentRunId }) }, []];
const begins = (subagentRunId, more = {}) => [{ type: "SUBAGENT_STARTED", subagentRunId, name: subagentRunId, ...more }, []];
const ends = (subagentRunId) => [{ type: "SUBAGENT_FINISHED", subagentRunId }, []];
const add = (value) => [{ op: "add", path: "/_messages/-", value }];
const piece = (at, text) => [{ op: "add", path: `/_messages/${at}/content/chunks/-`, value: text }];
const whole = (at, text) => [{ op: "replace", path: `/_messages/${at}/content`, value: text }];

/// Two subagents, one within the other, in steps of the same name as their parent's.
const events = () => {
  const ids = { threadId: "thread-1", runId: "run-1" };
  const [a, b] = [{ subagentRunId: "a" }, { subagentRunId: "b" }];
  const call = { id: "c", type: "function", function: { name: "add", arguments: { chunks: [] } } };
  const at = "/_messages/1/toolCalls";
  return [
    [
      { type: "RUN_STARTED", ...ids, input: { ...ids, messages: [{ id: "q", role: "user", content: "?" }], tools: [], context: [] } },
      [{ op: "replace", path: "/_run", value: ids }, ...add({ id: "q", role: "user", content: "?" })],
    ],
    step("STARTED"),
    begins("a"),
    step("STARTED", "a"),
    [{ type: "TEXT_MESSAGE_START", messageId: "m", role: "assistant", ...a }, add({ id: "m", role: "assistant", content: { chunks: [] }, ...a })],
    [{ type: "TEXT_MESSAGE_CONTENT", messageId: "m", delta: "I ask ", ...a }, piece(1, "I ask ")],
    begins("b", { parentSubagentRunId: "a" }),
    step("STARTED", "b"),
    [{ type: "TEXT_MESSAGE_CONTENT", messageId: "m", delta: "b.", ...a }, piece(1, "b.")],
    [{ type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "add", parentMessageId: "m", ...a }, [{ op: "add", path: at, value: [call] }]],
    [{ type: "TOOL_CALL_ARGS", toolCallId: "c", delta: "{}", ...a }, [{ op: "add", path: `${at}/0/function/arguments/chunks/-`, value: "{}" }]],
    [{ type: "REASONING_START", messageId: "r", ...b }, []],
    [{ type: "REASONING_MESSAGE_START", messageId: "r", role: "reasoning", ...b }, add({ id: "r", role: "reasoning", content: { chunks: [] }, ...b })],
    [{ type: "REASONING_MESSAGE_CONTENT", messageId: "r", delta: "Hm.", ...b }, piece(2, "Hm.")],
    [{ type: "REASONING_MESSAGE_END", messageId: "r", ...b }, whole(2, "Hm.")],
    [{ type: "REASONING_END", messageId: "r", ...b }, []],
    [{ type: "TOOL_CALL_END", toolCallId: "c", ...a }, [{ op: "replace", path: `${at}/0/function/arguments`, value: "{}" }]],
    [{ type: "TEXT_MESSAGE_END", messageId: "m", ...a }, whole(1, "I ask b.")],
    // Only a whole state can tell this one.
    [{ type: "MESSAGES_SNAPSHOT" }, [{ op: "replace", path: "/_messages/0/content", value: "How?" }]],
    begins("d", { parentSubagentRunId: "b" }),
    ends("d"),
    step("FINISHED", "b"),
    ends("b"),
    step("FINISHED", "a"),
    ends("a"),
    step("FINISHED"),
    [{ type: "RUN_FINISHED", ...ids }, [{ op: "replace", path: "/_status", value: "finished" }]],
  ];
};
const messages = [
  ["q", "How?", undefined],
  ["m", "I ask b.", "a"],
  ["r", "Hm.", "b"],
];

for (const resumes of [false, true]) {
  test(`${resumes ? "an agent that resumes" : "a page that attaches"} anywhere in a run with subagents gets a valid run`, async () => {
    const all = events();
    const read = async (cut) => {
      const { id } = await service.create({ _status: "active", _run: {}, _messages: [] });
      let cursor = (await service.call("GET", `/ltm/${id}/state`)).cursor;
      const page = new current.HttpAgent({ url: `${service.url}/agui/${id}`, threadId: "t" });
      const seen = [];
      if (resumes && cut > 0) {
        page.subscribe({ onEvent: ({ event }) => { cursor = cursorOf(event) ?? cursor; } });
        const first = page.runAgent();
        await until(page, (state) => Object.keys(state).length === 0);
        await record(service, id, all.slice(0, cut));
        const head = (await service.call("GET", `/ltm/${id}/state`)).cursor;
        await until(page, () => cursor === head || !page.isRunning);
        page.abortRun();
        await first;
      } else {
        await record(service, id, all.slice(0, cut));
      }
      page.subscribe({ onEvent: ({ event }) => { seen.push(event.type); } });
      const second = page.runAgent(resumes ? { forwardedProps: { ltm: { after: cursor } } } : {});
      const rest = record(service, id, all.slice(cut));
      await second.catch((error) => assert.fail(`cut ${cut}: ${error.message}: ${seen}`));
      await rest;
      const known = page.messages.map(({ id, content, subagentRunId }) => [id, content, subagentRunId]);
      // What is open comes after what is complete.
      assert.deepEqual(known.sort(), messages.toSorted(), `cut ${cut}: ${seen}`);
    };
    await Promise.all(Array.from({ length: all.length + 1 }, (_, cut) => read(cut)));
  });
}

// A run of an agent as `ltm agui` records it: each event is a snapshot of reason `agui`.

const text = (index, more) => [{ op: "add", path: `/_messages/${index}/content/chunks/-`, value: more }];

/// The events of a run with a question, a tool call and a streamed answer, each with its patch.
export function events(runId = "run-1") {
  const question = { id: "q", role: "user", content: "2 + 2?" };
  const call = { id: "c", type: "function", function: { name: "add", arguments: { chunks: [] } } };
  const at = "/_messages/1/toolCalls/0/function/arguments";
  return [
    [
      { type: "RUN_STARTED", threadId: "thread-1", runId, input: { threadId: "thread-1", runId, messages: [question], tools: [], context: [] } },
      [
        { op: "replace", path: "/_status", value: "active" },
        { op: "replace", path: "/_run", value: { threadId: "thread-1", runId } },
        { op: "add", path: "/_messages/-", value: question },
      ],
    ],
    [{ type: "STATE_SNAPSHOT" }, [{ op: "add", path: "/plan", value: ["add"] }]],
    [{ type: "STEP_STARTED", stepName: "think" }, []],
    [
      { type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "add", parentMessageId: "a" },
      [{ op: "add", path: "/_messages/-", value: { id: "a", role: "assistant", toolCalls: [call] } }],
    ],
    [{ type: "TOOL_CALL_ARGS", toolCallId: "c", delta: '{"a":2,' }, [{ op: "add", path: `${at}/chunks/-`, value: '{"a":2,' }]],
    [{ type: "TOOL_CALL_ARGS", toolCallId: "c", delta: '"b":2}' }, [{ op: "add", path: `${at}/chunks/-`, value: '"b":2}' }]],
    [{ type: "TOOL_CALL_END", toolCallId: "c" }, [{ op: "replace", path: at, value: '{"a":2,"b":2}' }]],
    [
      { type: "TOOL_CALL_RESULT", messageId: "r", toolCallId: "c", content: "4", role: "tool" },
      [{ op: "add", path: "/_messages/-", value: { id: "r", role: "tool", toolCallId: "c", content: "4" } }],
    ],
    [{ type: "STEP_FINISHED", stepName: "think" }, []],
    [
      { type: "TEXT_MESSAGE_START", messageId: "t", role: "assistant" },
      [{ op: "add", path: "/_messages/-", value: { id: "t", role: "assistant", content: { chunks: [] } } }],
    ],
    [{ type: "TEXT_MESSAGE_CONTENT", messageId: "t", delta: "It is " }, text(3, "It is ")],
    [{ type: "TEXT_MESSAGE_CONTENT", messageId: "t", delta: "4." }, text(3, "4.")],
    [{ type: "TEXT_MESSAGE_END", messageId: "t" }, [{ op: "replace", path: "/_messages/3/content", value: "It is 4." }]],
    [{ type: "STATE_DELTA" }, [{ op: "add", path: "/plan/-", value: "answer" }]],
    [{ type: "CUSTOM", name: "note", value: { tokens: 7 } }, []],
    [{ type: "RUN_FINISHED", threadId: "thread-1", runId }, [{ op: "replace", path: "/_status", value: "finished" }]],
  ];
}

/// Writes these events, or those of a whole run.
export async function record(service, id, some = events()) {
  for (const [item, patch] of some) await service.append(id, { reason: "agui", item, patch });
}

/// The messages after the run.
export const messages = [
  { id: "q", role: "user", content: "2 + 2?" },
  { id: "a", role: "assistant", toolCalls: [{ id: "c", type: "function", function: { name: "add", arguments: '{"a":2,"b":2}' } }] },
  { id: "r", role: "tool", toolCallId: "c", content: "4" },
  { id: "t", role: "assistant", content: "It is 4." },
];

import type { BaseEvent } from '@ag-ui/client';
import type { Observable } from 'rxjs';
import { Caller } from '../calls.js';
import type { JsonObject } from '../json.js';
import { Problem } from '../problem.js';
import { Reader } from '../reader.js';
import { Server } from '../server.js';
import { pathOfThread } from './agent.js';
import { readRun, type RunOptions } from './run.js';

/** Where ltm-live is, and how to connect. */
export interface LtmAgentRunnerOptions extends RunOptions {
  /** The services: the address before `/agui` and `/api`. */
  url: string | URL;
  /** The recorder, which runs the agents: the address before `/agui`. */
  recorder: string | URL;
}

/** What CopilotKit's runtime gives for a run. */
export interface RunnerRun<Input = { runId: string }> {
  threadId: string;
  /** Only its id and its headers are used: the recorder runs the agent. */
  agent: { agentId?: string; headers?: Record<string, string> };
  input: Input;
}

/** What CopilotKit's runtime gives for a page that connects. */
export interface RunnerConnect {
  threadId: string;
  agentId?: string;
  headers?: Record<string, string>;
}

/**
 * The runner of a CopilotKit runtime whose threads are LTMs: `new CopilotRuntime({ agents, runner })`. The recorder runs
 * the agents, so a runtime holds nothing: any runtime serves any thread, and a run continues if its runtime stops.
 */
export class LtmAgentRunner {
  private readonly services: Server;
  private readonly recorder: Server;
  private readonly reader: Reader;
  private readonly caller: Caller;

  /** A runner. It sends nothing until a page runs or connects. */
  constructor(private readonly options: LtmAgentRunnerOptions) {
    this.services = new Server(options.url);
    this.recorder = new Server(options.recorder);
    this.reader = new Reader(options.url, options);
    this.caller = new Caller(options.recorder, options, 3);
  }

  /** Starts a run at the recorder, or attaches to the one that is under way. */
  run({ threadId, agent, input }: RunnerRun): Observable<BaseEvent> {
    const start = { server: this.recorder, body: JSON.stringify({ ...input, threadId }) };
    return this.read(agent.agentId, threadId, agent.headers, { query: { threadId, runId: input.runId }, start });
  }

  /** The thread so far, and the rest of its run. A new thread has no events. */
  connect({ threadId, agentId, headers }: RunnerConnect): Observable<BaseEvent> {
    return this.read(agentId, threadId, headers, { query: { threadId }, mayBeMissing: true });
  }

  /** Whether the thread is in a run, in whichever runtime it was started. */
  async isRunning({ threadId }: { threadId: string }): Promise<boolean> {
    return (await this.running(threadId)).length > 0;
  }

  /** Stops the run of the thread, or only the run with this id. Returns whether there was one. */
  async stop({ threadId, runId }: { threadId: string; runId?: string }): Promise<boolean> {
    const runs = (await this.running(threadId)).filter((run) => runId === undefined || run.runId === runId);
    const stopped = runs.map(({ fqn }) => {
      const path = `${pathOfThread(fqn, threadId)}/stop`;
      return this.caller.call(path, { method: 'POST' }, undefined, async (response) => (await response.json()).stopped === true);
    });
    return (await Promise.all(stopped)).includes(true);
  }

  private read(
    agentId: string | undefined,
    threadId: string,
    headers: Record<string, string> | undefined,
    more: Pick<Parameters<typeof readRun>[0], 'query' | 'start' | 'mayBeMissing'>,
  ): Observable<BaseEvent> {
    if (agentId === undefined) {
      throw new TypeError('agentId: the runtime names no agent; LtmAgentRunner needs it as the class of the LTM');
    }
    const source = { server: this.services, path: pathOfThread(agentId, threadId), headers: { ...headers }, ...more };
    return readRun(source, this.options);
  }

  /** The runs of a thread: CopilotKit does not say of which agent. */
  private async running(threadId: string): Promise<{ fqn: string; runId: unknown }[]> {
    const { agents } = await this.caller.call('agui/info', {}, undefined, (response) => response.json());
    const runs = Object.keys(agents).map(async (fqn) => {
      const { _status, _run } = await this.state(fqn, threadId);
      return _status === 'active' ? [{ fqn, runId: (_run as JsonObject | undefined)?.runId }] : [];
    });
    return (await Promise.all(runs)).flat();
  }

  private async state(fqn: string, key: string): Promise<JsonObject> {
    try {
      return (await this.reader.state({ fqn, key })).state;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        return {};
      }
      throw error;
    }
  }
}

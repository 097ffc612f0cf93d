import { AbstractAgent, type AgentConfig, type BaseEvent, type RunAgentInput } from '@ag-ui/client';
import type { Observable } from 'rxjs';
import { Caller } from '../calls.js';
import { Server, type Query } from '../server.js';
import { readRun, type RunOptions } from './run.js';

/** Which agent to run or to watch, and how. */
export interface LtmAgentOptions extends RunOptions, AgentConfig {
  /** Where the recorder (`ltm agui`) is, or the services: the address before `/agui`. */
  url: string | URL;
  /** The class of the agent's LTMs. The key of an LTM is the thread id. */
  fqn: string;
  /** Headers for every request. */
  headers?: Record<string, string> | undefined;
}

/**
 * An agent of AG-UI whose runs are LTMs. A run continues over any number of connections: after a lost connection, a
 * restart of the gateway or of the network, the agent reads on after the last event that it got.
 *
 * At the recorder, `runAgent()` starts a run, or attaches to the one that is under way. At the gateway it watches.
 * `connectAgent()` reads the thread, and starts nothing.
 */
export class LtmAgent extends AbstractAgent {
  /** Headers for every request. */
  headers: Record<string, string>;
  private settings: Pick<LtmAgentOptions, 'url' | 'fqn'> & RunOptions;
  private stops: Set<AbortController>;

  /** An agent. It sends nothing until it runs or connects. */
  constructor({ url, fqn, headers, token, fetch, backoff, silence, ...config }: LtmAgentOptions) {
    super({ ...config, agentId: config.agentId ?? fqn });
    this.settings = { url, fqn, token, fetch, backoff, silence };
    this.headers = { ...headers };
    this.stops = new Set();
  }

  /** Starts a run at the recorder, or attaches to the one that is under way. `runAgent()` calls it. */
  override run(input: RunAgentInput): Observable<BaseEvent> {
    return this.read(input, true);
  }

  /** Reads the thread, and starts nothing. `connectAgent()` calls it. */
  protected override connect(input: RunAgentInput): Observable<BaseEvent> {
    return this.read(input, false);
  }

  /** Stops reading. The run continues, and `connectAgent()` reads on; `stopRun()` ends it. */
  override abortRun(): void {
    for (const stop of [...this.stops]) {
      stop.abort();
    }
  }

  /** Stops the run at the recorder. Returns whether there was one. */
  async stopRun(): Promise<boolean> {
    const { url, ...options } = this.settings;
    const call = { method: 'POST', headers: this.headers };
    const caller = new Caller(url, options, 3);
    return caller.call(`${this.path(this.threadId)}/stop`, call, undefined, async (response) => (await response.json()).stopped === true);
  }

  /** An agent with the same settings, messages and state. `abortRun()` of one does not stop the other. */
  override clone(): LtmAgent {
    const clone = super.clone() as LtmAgent;
    clone.settings = this.settings;
    clone.headers = { ...this.headers };
    clone.stops = new Set();
    return clone;
  }

  private path(thread: string): string {
    return pathOfThread(this.settings.fqn, thread);
  }

  private read(input: RunAgentInput, starts: boolean): Observable<BaseEvent> {
    const server = new Server(this.settings.url);
    const stop = new AbortController();
    this.stops.add(stop);
    const after: unknown = input.forwardedProps?.ltm?.after;
    const query: Query = { threadId: input.threadId, runId: input.runId, ...(typeof after === 'string' && { after }) };
    const source = {
      server,
      path: this.path(input.threadId),
      query,
      headers: this.headers,
      signal: stop.signal,
      ...(starts ? { start: { server, body: JSON.stringify(input) } } : { mayBeMissing: true }),
    };
    return readRun(source, this.settings, () => this.stops.delete(stop));
  }
}

/** The path of a thread. */
export function pathOfThread(fqn: string, thread: string): string {
  return `agui/${encodeURIComponent(fqn)}/${encodeURIComponent(thread)}`;
}

import { sleep } from './backoff.js';
import type { JsonInput, Patch } from './json.js';
import type { Producer } from './producer.js';
import type { Ltm } from './server.js';

/** How a text is written. */
export interface TextOptions {
  /** The pause between two snapshots, in milliseconds (default 50). What is written meanwhile goes into one chunk. */
  every?: number | undefined;
  /** The `reason` of the snapshots (default `tokens`). */
  reason?: string | undefined;
  /** The `item` of the snapshots. */
  item?: JsonInput | undefined;
}

/** A text in the state, as a `TextStream` writes it: a list of chunks while it grows, and one text in the end. */
export type StreamedText = string | { readonly chunks: readonly string[] };

/** The text so far. */
export function textOf(value: StreamedText): string {
  return typeof value === 'string' ? value : value.chunks.join('');
}

/**
 * Streams a text into the state of an LTM, such as the tokens of a model. While the text grows, it is a list of chunks,
 * because JSON Patch cannot append to a text; `end` replaces the list with the text.
 */
export class TextStream {
  private readonly every: number;
  private readonly step: { reason: string; item?: JsonInput };
  private text = '';
  private unsent = '';
  private begun = false;
  private ended: Promise<string> | undefined;
  private sending: Promise<void> | undefined;
  private failure: { error: unknown } | undefined;

  /** Writes to the member at `path` (a JSON Pointer, such as `/messages/3/content`), which is made or replaced. */
  constructor(
    private readonly producer: Producer,
    private readonly ltm: Ltm,
    private readonly path: string,
    { every = 50, reason = 'tokens', item }: TextOptions = {},
  ) {
    this.every = every;
    this.step = item === undefined ? { reason } : { reason, item };
  }

  /** Adds to the text. It is sent in the background. */
  write(more: string): void {
    if (this.failure) {
      throw this.failure.error;
    }
    if (this.ended) {
      throw new Error('this text has ended');
    }
    this.text += more;
    this.unsent += more;
    // Without a chunk, `send` returns before `sending` has its promise, and nothing would be sent any more.
    if (this.unsent) {
      this.sending ??= this.send();
    }
  }

  /** Completes the text once and returns it. Throws what failed since the beginning. */
  end(): Promise<string> {
    return (this.ended ??= this.complete());
  }

  private async complete(): Promise<string> {
    // The whole text is about to be sent.
    this.unsent = '';
    await this.sending;
    if (this.failure) {
      throw this.failure.error;
    }
    await this.append([{ op: this.begun ? 'replace' : 'add', path: this.path, value: this.text }]);
    return this.text;
  }

  /** Sends what was written, one chunk after the other, until nothing is left. */
  private async send(): Promise<void> {
    try {
      while (this.unsent) {
        const chunk = this.unsent;
        this.unsent = '';
        await this.append(
          this.begun
            ? [{ op: 'add', path: `${this.path}/chunks/-`, value: chunk }]
            : [{ op: 'add', path: this.path, value: { chunks: [chunk] } }],
        );
        this.begun = true;
        await sleep(this.every);
      }
    } catch (error) {
      this.failure = { error };
    }
    this.sending = undefined;
  }

  private append(patch: Patch): Promise<unknown> {
    return this.producer.append(this.ltm, { ...this.step, patch });
  }
}

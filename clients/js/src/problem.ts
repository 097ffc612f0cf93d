import type { Cursor } from './server.js';

const PREFIX = 'urn:ltm-live:problem:';

/** The names of the problems that the services report. */
export type ProblemKind =
  | 'invalid-request'
  | 'invalid-cursor'
  | 'patch-failed'
  | 'state-too-large'
  | 'not-found'
  | 'unknown-ltm'
  | 'deleted-ltm'
  | 'trimmed'
  | 'method-not-allowed'
  | 'id-taken'
  | 'busy'
  | 'fenced'
  | 'key-reused'
  | 'cursor-mismatch'
  | 'body-too-large'
  | 'unsupported-media-type'
  | 'request-timeout'
  | 'unauthenticated'
  | 'forbidden'
  | 'origin-forbidden'
  | 'unknown-host'
  | 'too-many-requests'
  | 'over-limit'
  | 'unavailable'
  | 'damaged-log'
  | 'internal';

/** An error answer of the services (RFC 9457). `status` is 0 if no answer arrived. */
export class Problem extends Error {
  override name = 'Problem';
  /** A stable name, for example `urn:ltm-live:problem:patch-failed`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What happened, and what to do. */
  readonly detail: string;
  /** The field, header or parameter that is wrong. */
  readonly field?: string;
  /** The index of the patch operation that failed. */
  readonly operation?: number;
  /** The LTM's current cursor, if the call named another one. */
  readonly cursor?: Cursor;
  /** The id of the call in the service's log. */
  readonly requestId?: string;
  /** How many seconds to wait before the next attempt. */
  readonly retryAfter?: number;

  /** A problem with these members (RFC 9457). */
  constructor(members: Record<string, unknown>, options?: { cause?: unknown; retryAfter?: number | undefined }) {
    const detail = String(members.detail ?? members.title ?? 'the call failed');
    super(detail, options?.cause === undefined ? undefined : { cause: options.cause });
    this.type = String(members.type ?? 'about:blank');
    this.title = String(members.title ?? '');
    this.status = Number(members.status ?? 0);
    this.detail = detail;
    for (const key of ['field', 'operation', 'cursor'] as const) {
      if (members[key] !== undefined) {
        Object.assign(this, { [key]: members[key] });
      }
    }
    if (members.request_id !== undefined) {
      this.requestId = String(members.request_id);
    }
    if (options?.retryAfter !== undefined) {
      this.retryAfter = options.retryAfter;
    }
  }

  /**
   * The last part of `type`, for example `patch-failed`. Empty if the answer does not come from the services. Services
   * that are newer than this client may send other names.
   */
  get kind(): ProblemKind | '' {
    return this.type.startsWith(PREFIX) ? (this.type.slice(PREFIX.length) as ProblemKind) : '';
  }

  /** Whether the same call may succeed later. */
  get passes(): boolean {
    return this.status === 0 || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

/** A problem of a known kind. */
export function problemOf(kind: ProblemKind, status: number, detail: string): Problem {
  return new Problem({ type: PREFIX + kind, status, detail });
}

/** The problem in an error answer. */
export async function problemIn(response: Response): Promise<Problem> {
  const { status, statusText } = response;
  if (status < 400) {
    const to = response.headers.get('Location') ?? 'another address';
    // A browser hides status and address. With 0, which means no answer, the client would repeat the call.
    return new Problem({ status: status || 302, detail: `the server redirects this call to ${to}: use that address` });
  }
  const seconds = Number(response.headers.get('Retry-After') ?? NaN);
  const retryAfter = seconds >= 0 ? seconds : undefined;
  const text = await response.text();
  let members: Record<string, unknown> = {};
  try {
    members = Object(JSON.parse(text));
  } catch {
    // A proxy answered, not the service.
  }
  const detail = `the server answered ${status} ${statusText}: ${text.slice(0, 200)}`;
  return new Problem({ detail, ...members, status }, { retryAfter });
}

/** The problem if no answer arrived. */
export function noAnswer(cause: unknown): Problem {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Problem({ title: 'No answer', detail: `the server did not answer: ${reason}` }, { cause });
}

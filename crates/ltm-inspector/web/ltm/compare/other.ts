// What a snapshot is compared with: another snapshot, or another LTM. In a link: `@5`, `43`, `43@5`.

import type { JsonObject } from 'ltm-live';
import { ask } from '../../wire/api.js';
import { mark } from '../../wire/digits.js';

/** `ltm`: null is the LTM of the page. `index`: null is the snapshot before the chosen one, or the latest one of another LTM. */
export interface Other { ltm: string | null; index: number | null }

export function otherOf(text: string | null): Other {
  const [, ltm = '', index = ''] = /^(\d{1,20})?(?:@(\d{1,15}))?$/.exec(text ?? '') ?? [];
  return { ltm: ltm === '' ? null : ltm, index: index === '' ? null : Number(index) };
}

export function textOf({ ltm, index }: Other): string | null {
  return `${ltm ?? ''}${index === null ? '' : `@${index}`}` || null;
}

/** The state of another LTM. */
export async function stateOf(ltm: string, index: number | null, signal: AbortSignal): Promise<JsonObject> {
  const response = await ask(`ltm/${ltm}/state${index === null ? '' : `?index=${index}`}`, { signal });
  return JSON.parse(mark(await response.text())).state;
}

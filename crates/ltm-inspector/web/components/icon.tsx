// An icon in a part that Preact draws.

import { PATHS } from '../elements/icons.js';

/** An icon that screen readers pass over: what it stands for is said by the button. */
export function Icon({ name }: { name: string }) {
  return <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={(PATHS as Record<string, string>)[name]} /></svg>;
}

// Lets the unit tests import the sources as the bundle has them: TypeScript, and the packages that are in this repository.
//
//   node --import ./scripts/typescript.mjs --test tests/unit

import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);

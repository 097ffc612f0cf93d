// The page: shows the view that the URL names.

import { askToken, showHelp } from './dialogs.js';
import { onKey } from './keys.js';
import { ListView } from '../list/list-view.js';
import { LtmView } from '../ltm/ltm-view.js';
import { onRoute, route } from './router.js';
import { onRefused, onToken } from '../wire/session.js';
import { Shell } from './shell.js';
import { applyTheme } from './theme.js';

applyTheme();
const shell = new Shell({ askToken: () => askToken(), showHelp: () => showHelp(shell.view) });

function show() {
  const { view, id, parameters } = route();
  const make = view === 'ltm' ? LtmView : ListView;
  shell.show(new make({ id, parameters, shell, askToken: () => askToken() }));
}

onRoute(show);
onRefused(() => askToken({ refused: true }));
onToken(() => shell.showToken(), new AbortController().signal);
onKey((key) => {
  if (key === '?') showHelp(shell.view);
  else if (key === 't') shell.look.click();
  else return shell.view.key(key);
  return true;
});
show();

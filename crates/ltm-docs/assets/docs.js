// Shows both descriptions: of the HTTP API by Swagger UI, of the channels by hand.
import { show } from './channels.js';

const address = (name) => new URL(`docs/${name}`, document.baseURI).href;

// What is tried out goes to where this page comes from.
window.SwaggerUIBundle({
  url: address('openapi.json'),
  domNode: document.getElementById('http'),
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // Nothing is asked of other hosts.
  validatorUrl: null,
});

const answer = await fetch(address('asyncapi.json'));
show(await answer.json(), document.getElementById('channels'));
